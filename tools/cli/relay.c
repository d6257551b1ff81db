/* relay.c -- the outbox relay seen and steered, by its HTTP interface on this machine: OUTBOX_RELAY_URL, or
 * OUTBOX_RELAY_PORT. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_MAX_BYTES = 256 };

/* One call to the relay instead of the gateway; body is taken. */
static int relay_call(struct cli *cli, const char *method, const char *path, json_t *body, json_t **ret_json)
{
    const char *url = getenv("OUTBOX_RELAY_URL"), *port = getenv("OUTBOX_RELAY_PORT");
    CLEANUP(xfree)
    char *own = url && *url ? xstrdup(url) : xasprintf("http://127.0.0.1:%s", port && *port ? port : "8085");
    struct cli relay = *cli;
    const struct api_call call = { method, path, .body = body };

    relay.gateway_url = own;
    return api_call(&relay, &call, ret_json);
}

/* Prints `list` of the answer as a table, or the answer as JSON. */
static int relay_show(struct cli *cli, const char *path, const char *list, const char *const *columns)
{
    json_t *json = NULL;
    int code = relay_call(cli, "GET", path, NULL, &json);

    return code == CLI_OK ? show_table(cli, json, list, columns) : code;
}

/* POST /sources/SOURCE/<action>; says `done` when it has worked. */
static int relay_ask(struct cli *cli, const char *source, const char *action, json_t *body, const char *done)
{
    char path[PATH_MAX_BYTES];
    json_t *json = NULL;
    int code;

    snprintf(path, sizeof path, "/sources/%.64s/%s", source, action);
    code = relay_call(cli, "POST", path, body, &json);
    CLEANUP(xfree) char *line = xasprintf("%.64s: %s", source, done);
    return code == CLI_OK ? show_line(cli, json, line) : code;
}

int cmd_relay_status(struct cli *cli, int argc, char **argv)
{
    static const char *const columns[] = { "source", "state", "lag_rows", "lag_seconds", "rows_per_second",
        "published_rows", "parked_rows", "trouble", NULL };

    (void)argv;
    return argc == 1 ? relay_show(cli, "/sources", "sources", columns) : cli_usage(cli, "it takes no arguments");
}

int cmd_relay_pause(struct cli *cli, int argc, char **argv)
{
    return argc == 2 ? relay_ask(cli, argv[1], "pause", NULL, "is paused, also after a restart, until it is resumed")
                     : cli_usage(cli, "one source is wanted");
}

int cmd_relay_resume(struct cli *cli, int argc, char **argv)
{
    return argc == 2 ? relay_ask(cli, argv[1], "resume", NULL, "goes on") : cli_usage(cli, "one source is wanted");
}

int cmd_relay_replay(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "from", required_argument, NULL, 'f' },
        { "yes", no_argument, NULL, 'y' }, { 0 } };
    const char *from = NULL;
    bool yes = false;
    int option;

    while ((option = cli_option(cli, argc, argv, options)) != -1) {
        if (option == '?')
            return CLI_USAGE;
        from = option == 'f' ? optarg : from;
        yes = yes || option == 'y';
    }
    if (optind + 1 != argc || !from)
        return cli_usage(cli, "one source and --from are wanted");
    if (!yes)
        return cli_usage(cli,
            "readers get these events a second time, with the same ce_id and a header ce_replay: those that "
            "do not look at ce_id act on them again. --yes if they may");
    return relay_ask(
        cli, argv[optind], "replay", json_pack("{s:s}", "from", from), "published rows are published again");
}

int cmd_relay_parked_list(struct cli *cli, int argc, char **argv)
{
    static const char *const columns[] = { "id", "topic", "key", "type", "retry_asked", "parked_at", "reason", NULL };
    char path[PATH_MAX_BYTES];

    if (argc != 2)
        return cli_usage(cli, "one source is wanted");
    snprintf(path, sizeof path, "/sources/%.64s/parked", argv[1]);
    return relay_show(cli, path, "parked", columns);
}

int cmd_relay_parked_retry(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "topic", required_argument, NULL, 't' },
        { "key", required_argument, NULL, 'k' }, { "all", no_argument, NULL, 'a' }, { 0 } };
    json_t *body = json_object();
    bool all = false;
    int option;

    while ((option = cli_option(cli, argc, argv, options)) != -1) {
        if (option == '?') {
            json_decref(body);
            return CLI_USAGE;
        }
        all = all || option == 'a';
        if (option != 'a')
            json_object_set_new(body, option == 't' ? "topic" : "key", json_string(optarg));
    }
    if (optind + 1 != argc || all == (json_object_size(body) > 0)) {
        json_decref(body);
        return cli_usage(cli, "one source, and --topic, --key or --all are wanted");
    }
    return relay_ask(cli, argv[optind], "parked/retry", body, "parked rows will be tried again");
}
