/* money.c -- what the ledger knows of one's money: balances, entries. */
#include "cli.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { PATH_MAX_CHARS = 1024 };

struct path {
    char text[PATH_MAX_CHARS];
    size_t len;
    bool too_long;
};

static void path_add(struct path *path, const char *text, bool encode)
{
    for (; *text; text++) {
        bool plain = !encode || isalnum((unsigned char)*text) || strchr("-_.~", *text);
        if (path->len + 4 > sizeof path->text) {
            path->too_long = true;
            return;
        }
        path->len += (size_t)snprintf(path->text + path->len, sizeof path->text - path->len, plain ? "%c" : "%%%02X",
            plain ? *text : (unsigned char)*text);
    }
}

static void path_query(struct path *path, const char *name, const char *value)
{
    path_add(path, strchr(path->text, '?') ? "&" : "?", false);
    path_add(path, name, false);
    path_add(path, "=", false);
    path_add(path, value, true);
}

/* All options of these commands are parameters of the query, but with '-' for '_'. */
static bool path_options(struct cli *cli, int argc, char **argv, const struct option *options, struct path *path)
{
    char name[32];
    for (int option; (option = cli_option(cli, argc, argv, options)) != -1;) {
        if (option == '?')
            return false;
        snprintf(name, sizeof name, "%s", options[option - 1].name);
        for (char *at = name; *at; at++)
            *at = *at == '-' ? '_' : *at;
        path_query(path, name, optarg);
    }
    return true;
}

/* One GET: as JSON, or as a table of its array `list` (NULL: of the object itself). */
static int show(struct cli *cli, const struct path *path, const char *list, const char *const *columns)
{
    json_t *json;
    if (path->too_long)
        return cli_usage(cli, "that is too long");
    int result = api_call(cli, &(struct api_call){ "GET", path->text, .with_token = true }, &json);
    if (result != CLI_OK)
        return result;
    json_t *one = list ? NULL : json_pack("[O]", json);
    if (cli->json)
        print_json(json);
    else
        print_table(one ? one : json_object_get(json, list), columns);
    const char *next = json_string_value(json_object_get(json, "next_cursor"));
    if (next && !cli->json)
        fprintf(stderr, "more: --cursor %s\n", next);
    json_decref(one);
    json_decref(json);
    return CLI_OK;
}

int cmd_portfolio(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "as-of", required_argument, NULL, 1 }, { 0 } };
    struct path path = { 0 };
    path_add(&path, "/api/portfolio", false);
    if (!path_options(cli, argc, argv, options, &path))
        return CLI_USAGE;
    if (argc != optind)
        return cli_usage(cli, "portfolio takes only options");
    return show(
        cli, &path, "balances", (const char *const[]){ "asset", "available", "held", "total", "account_id", NULL });
}

int cmd_balance(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "as-of", required_argument, NULL, 1 }, { 0 } };
    struct path query = { 0 }, path = { 0 };
    if (!path_options(cli, argc, argv, options, &query))
        return CLI_USAGE;
    if (argc - optind != 1)
        return cli_usage(cli, "an account is needed: its id, or an asset's code");
    path_add(&path, "/api/accounts/", false);
    path_add(&path, argv[optind], true);
    path_add(&path, "/balance", false);
    path_add(&path, query.text, false);
    return show(cli, &path, NULL,
        (const char *const[]){ "account_id", "asset", "available", "held", "total", "entry_id", "as_of", NULL });
}

/* Rows of a statement as a table: opening balance, movements, closing balance. */
static void print_statement(const json_t *json)
{
    json_t *rows = json_array(), *entry;
    size_t i;
    const char *total = json_string_value(json_object_get(json_object_get(json, "opening"), "total"));
    json_array_append_new(rows,
        json_pack("{s:O, s:s, s:s}", "posted_at", json_object_get(json, "from"), "kind", "opening", "total", total));
    json_array_foreach(json_object_get(json, "entries"), i, entry)
    {
        json_array_append(rows, entry);
    }
    total = json_string_value(json_object_get(json_object_get(json, "closing"), "total"));
    json_array_append_new(rows,
        json_pack("{s:O, s:s, s:s}", "posted_at", json_object_get(json, "to"), "kind", "closing", "total", total));
    print_table(rows, (const char *const[]){ "posted_at", "kind", "reference", "note", "amount", "total", NULL });
    json_decref(rows);
}

static int write_bytes(const char *bytes, size_t len, const char *path)
{
    FILE *out = path ? fopen(path, "w") : stdout;
    struct error e = { 0 };
    bool ok = out && fwrite(bytes, 1, len, out) == len && fflush(out) == 0;
    if (out && path)
        ok = fclose(out) == 0 && ok;
    if (ok)
        return CLI_OK;
    error_field(&e, ERROR_REFUSED, "", "--output", "cannot be written");
    return cli_fail(CLI_REFUSED, &e);
}

int cmd_statement(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "from", required_argument, NULL, 1 },
        { "to", required_argument, NULL, 2 }, { "holds", required_argument, NULL, 3 },
        { "format", required_argument, NULL, 4 }, { "output", required_argument, NULL, 'o' }, { 0 } };
    struct path query = { 0 }, path = { 0 };
    const char *output = NULL, *format = NULL;
    for (int option; (option = cli_option(cli, argc, argv, options)) != -1;) {
        if (option == '?')
            return CLI_USAGE;
        if (option == 'o')
            output = optarg;
        else
            path_query(&query, options[option - 1].name, optarg);
        if (option == 4)
            format = optarg;
    }
    if (argc - optind != 1)
        return cli_usage(cli, "an account is needed: its id, or an asset's code");
    path_add(&path, "/api/accounts/", false);
    path_add(&path, argv[optind], true);
    path_add(&path, "/statement", false);
    path_add(&path, query.text, false);
    char *text = NULL;
    size_t len = 0;
    json_t *json;
    int result = api_call(
        cli, &(struct api_call){ "GET", path.text, .with_token = true, .ret_text = &text, .ret_len = &len }, &json);
    if (result == CLI_OK && (format || output))
        result = write_bytes(text, len, output);
    else if (result == CLI_OK && cli->json)
        print_json(json);
    else if (result == CLI_OK)
        print_statement(json);
    json_decref(json);
    xfree(text);
    return result;
}

int cmd_entries(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "limit", required_argument, NULL, 1 },
        { "before", required_argument, NULL, 2 }, { "cursor", required_argument, NULL, 3 },
        { "reference", required_argument, NULL, 4 }, { "account", required_argument, NULL, 5 },
        { "asset", required_argument, NULL, 6 }, { "from", required_argument, NULL, 7 },
        { "to", required_argument, NULL, 8 }, { "min-amount", required_argument, NULL, 9 },
        { "max-amount", required_argument, NULL, 10 }, { 0 } };
    struct path path = { 0 };
    path_add(&path, "/api/ledger/entries", false);
    if (!path_options(cli, argc, argv, options, &path))
        return CLI_USAGE;
    if (argc != optind)
        return cli_usage(cli, "entries takes only options");
    if (!strstr(path.text, "limit="))
        path_query(&path, "limit", "50");
    return show(cli, &path, "entries",
        (const char *const[]){ "entry_id", "kind", "reference", "asset", "available_delta", "held_delta", "available",
            "held", "posted_at", NULL });
}

int cmd_positions(struct cli *cli, int argc, char **argv)
{
    (void)argv;
    struct path path = { 0 };
    path_add(&path, "/api/portfolio/positions", false);
    if (argc > 1)
        return cli_usage(cli, "positions takes no argument");
    return show(cli, &path, "positions",
        (const char *const[]){ "asset", "quantity", "average_cost", "cost", "price", "value", "realised_profit",
            "unrealised_profit", "quantity_without_cost", "quote", NULL });
}

int cmd_interest(struct cli *cli, int argc, char **argv)
{
    (void)argv;
    struct path path = { 0 };
    path_add(&path, "/api/interest", false);
    if (argc > 1)
        return cli_usage(cli, "interest takes no argument");
    return show(cli, &path, "interest",
        (const char *const[]){ "asset", "annual_rate_percent", "day_count", "accrued", "accrued_until", NULL });
}

/* ---- Reconciliation ---- */

enum { RECONCILE_FILE_MAX = 4 * 1024 * 1024 };

static char *read_file(const char *path, size_t *ret_len, struct error *e)
{
    FILE *in = fopen(path, "rb");
    if (!in) {
        error_field(e, ERROR_REFUSED, "", path, "cannot be read");
        return NULL;
    }
    char *data = xmalloc(RECONCILE_FILE_MAX + 1);
    *ret_len = fread(data, 1, RECONCILE_FILE_MAX + 1, in);
    bool ok = !ferror(in) && *ret_len <= RECONCILE_FILE_MAX;
    fclose(in);
    if (ok)
        return data;
    xfree(data);
    error_field(e, ERROR_REFUSED, "", path, "cannot be read, or is larger than %d bytes", RECONCILE_FILE_MAX);
    return NULL;
}

static bool is_xml(const char *path)
{
    size_t len = strlen(path);
    return len > 4 && strcmp(path + len - 4, ".xml") == 0;
}

static int print_reconciliation(const struct cli *cli, const json_t *json)
{
    static const char *const lists[] = { "missing", "extra", "amount_differs" };
    bool same = json_is_true(json_object_get(json, "same"));
    if (cli->json) {
        print_json(json);
        return same ? CLI_OK : CLI_REFUSED;
    }
    printf("matched: %zu\n", json_array_size(json_object_get(json, "matched")));
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        const json_t *list = json_object_get(json, lists[i]);
        printf("%s: %zu\n", lists[i], json_array_size(list));
        if (json_array_size(list) > 0)
            print_table(list, (const char *const[]){ "line", "date", "amount", "reference", "entry_id", "entry_date",
                                  "entry_amount", "entry_reference", "entry_note", NULL });
    }
    return same ? CLI_OK : CLI_REFUSED;
}

int cmd_reconcile(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "account", required_argument, NULL, 'a' },
        { "reverse", required_argument, NULL, 'r' }, { "days-apart", required_argument, NULL, 'd' }, { 0 } };
    struct path query = { 0 }, path = { 0 };
    const char *account = NULL;
    for (int option; (option = cli_option(cli, argc, argv, options)) != -1;) {
        if (option == 'a')
            account = optarg;
        else if (option == 'r' || option == 'd')
            path_query(&query, option == 'r' ? "reverse" : "days_apart", optarg);
        else
            return CLI_USAGE;
    }
    if (argc - optind != 1 || !account)
        return cli_usage(cli, "a file and --account are needed");
    struct error e = { 0 };
    struct api_call call = { "POST", path.text, .with_token = true };
    CLEANUP(xfree) char *file = read_file(argv[optind], &call.file_len, &e);
    if (!file)
        return cli_fail(CLI_REFUSED, &e);
    call.file = file;
    call.file_type = is_xml(argv[optind]) ? "application/xml" : "text/csv";
    path_add(&path, "/api/accounts/", false);
    path_add(&path, account, true);
    path_add(&path, "/reconcile", false);
    path_add(&path, query.text, false);
    json_t *json;
    int result = api_call(cli, &call, &json);
    if (result == CLI_OK)
        result = print_reconciliation(cli, json);
    json_decref(json);
    return result;
}
