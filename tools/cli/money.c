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
