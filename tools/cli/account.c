/* account.c -- signup, login, money. */
#include "cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PASSWORD_MAX = 256 };

/* The first line of the file, or of the terminal. */
static bool read_password(const char *path, char ret[PASSWORD_MAX], struct error *e)
{
    FILE *in = path ? fopen(path, "r") : stdin;
    if (!in)
        return error_field(e, ERROR_REFUSED, "", "--password-file", "cannot be read");
    if (!path && isatty(STDIN_FILENO))
        fputs("password: ", stderr);
    bool ok = fgets(ret, PASSWORD_MAX, in) != NULL;
    if (path)
        fclose(in);
    if (!ok)
        return error_set(e, ERROR_REFUSED, "no password given");
    ret[strcspn(ret, "\r\n")] = '\0';
    return true;
}

/* signup and login differ by their path only. */
static int open_session(struct cli *cli, int argc, char **argv, const char *path)
{
    static const struct option options[] = { { "email", required_argument, NULL, 'e' },
        { "password", required_argument, NULL, 'p' }, { "password-file", required_argument, NULL, 'f' }, { 0 } };
    const char *email = NULL, *password = NULL, *file = NULL;
    char typed[PASSWORD_MAX];
    struct error e = { 0 };
    for (int option; (option = cli_option(cli, argc, argv, options)) != -1;) {
        if (option == 'e')
            email = optarg;
        else if (option == 'p')
            password = optarg;
        else if (option == 'f')
            file = optarg;
        else
            return CLI_USAGE;
    }
    if (!email || optind != argc)
        return cli_usage(cli, "--email is needed");
    if (!password && !read_password(file, typed, &e))
        return cli_fail(CLI_USAGE, &e);
    json_t *session;
    int result = api_call(cli,
        &(struct api_call){
            "POST", path, .body = json_pack("{s:s, s:s}", "email", email, "password", password ? password : typed) },
        &session);
    if (result != CLI_OK)
        return result;
    json_object_set_new(session, "email", json_string(email));
    if (!session_save(session, &e))
        result = cli_fail(CLI_REFUSED, &e);
    else if (cli->json)
        print_json(session);
    else
        printf("logged in as %s, user %s\n", email, json_string_value(json_object_get(session, "user_id")));
    json_decref(session);
    return result;
}

int cmd_signup(struct cli *cli, int argc, char **argv)
{
    return open_session(cli, argc, argv, "/auth/signup");
}

int cmd_login(struct cli *cli, int argc, char **argv)
{
    return open_session(cli, argc, argv, "/auth/login");
}

int cmd_logout(struct cli *cli, int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return cli_usage(cli, "logout takes no argument");
    json_t *session = session_load(), *nothing = NULL;
    const char *token = json_string_value(json_object_get(session, "refresh_token"));
    int result = CLI_OK;
    if (token)
        result = api_call(cli,
            &(struct api_call){ "POST", "/auth/logout", .body = json_pack("{s:s}", "refresh_token", token) }, &nothing);
    session_forget();
    json_decref(nothing);
    json_decref(session);
    return result;
}

/* Commands that are one GET: as JSON, or the given table of its array `list` (NULL: the object itself). */
static int show(struct cli *cli, const char *path, bool with_token, const char *list, const char *const *columns)
{
    return call_table(cli, &(struct api_call){ "GET", path, .with_token = with_token }, list, columns);
}

int cmd_whoami(struct cli *cli, int argc, char **argv)
{
    (void)argv;
    return argc > 1 ? cli_usage(cli, "whoami takes no argument")
                    : show(cli, "/api/auth/me", true, NULL, (const char *const[]){ "user_id", "email", NULL });
}

int cmd_topup(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "key", required_argument, NULL, 'k' },
        { "reference", required_argument, NULL, 'r' }, { 0 } };
    const char *key = NULL, *reference = NULL;
    for (int option; (option = cli_option(cli, argc, argv, options)) != -1;) {
        if (option == 'k')
            key = optarg;
        else if (option == 'r')
            reference = optarg;
        else
            return CLI_USAGE;
    }
    if (argc - optind != 2)
        return cli_usage(cli, "a currency and an amount are needed");
    json_t *body = json_pack("{s:s, s:s}", "currency", argv[optind], "amount", argv[optind + 1]);
    if (reference)
        json_object_set_new(body, "reference", json_string(reference));
    return call_line(cli,
        &(struct api_call){
            "POST", "/api/fund/topup", .body = body, .with_key = true, .idempotency_key = key, .with_token = true },
        "topped up {amount} {currency}; available {balance.available}");
}

int cmd_markets(struct cli *cli, int argc, char **argv)
{
    (void)argv;
    return argc > 1 ? cli_usage(cli, "markets takes no argument")
                    : show(cli, "/api/markets", false, "markets",
                          (const char *const[]){ "symbol", "status", "tick_size", "lot_size", "last_price",
                              "maker_fee_ppm", "taker_fee_ppm", NULL });
}

static int show_market(
    struct cli *cli, int argc, char **argv, const char *option_name, const char *what, json_t **ret_json)
{
    const struct option options[] = { { option_name, required_argument, NULL, 'n' }, { 0 } };
    const char *count = "10";
    for (int option; (option = cli_option(cli, argc, argv, options)) != -1;) {
        if (option != 'n')
            return CLI_USAGE;
        count = optarg;
    }
    if (argc - optind != 1)
        return cli_usage(cli, "a symbol is needed");
    CLEANUP(xfree) char *path = xasprintf("/api/markets/%s/%s?%s=%s", argv[optind], what, option_name, count);
    return api_call(cli, &(struct api_call){ "GET", path }, ret_json);
}

int cmd_book(struct cli *cli, int argc, char **argv)
{
    json_t *book;
    int result = show_market(cli, argc, argv, "depth", "book", &book);
    if (result != CLI_OK)
        return result;
    if (cli->json) {
        print_json(book);
    } else {
        static const char *const columns[] = { "price", "quantity", "orders", NULL };
        json_t *asks = json_array();
        for (size_t i = json_array_size(json_object_get(book, "asks")); i-- > 0;)
            json_array_append(asks, json_array_get(json_object_get(book, "asks"), i));
        puts("asks");
        print_table(asks, columns);
        puts("bids");
        print_table(json_object_get(book, "bids"), columns);
        json_decref(asks);
    }
    json_decref(book);
    return CLI_OK;
}

int cmd_trades(struct cli *cli, int argc, char **argv)
{
    json_t *json;
    int result = show_market(cli, argc, argv, "limit", "trades", &json);
    return result != CLI_OK
               ? result
               : show_table(cli, json, "trades",
                     (const char *const[]){ "trade_id", "executed_at", "taker_side", "price", "quantity", NULL });
}
