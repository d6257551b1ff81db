/* schedule.c -- scheduled transfers. */
#include "cli.h"

#include <stdio.h>

static const char *const columns[] = { "schedule_id", "status", "to_user_id", "currency", "amount", "every", "next_at",
    "failed_attempts", "failed_in_a_row", "last_problem", "reference", NULL };

static int print_one(const struct cli *cli, json_t *json)
{
    if (cli->json) {
        print_json(json);
    } else {
        json_t *rows = json_pack("[O]", json), *runs = json_object_get(json, "runs");
        print_table(rows, columns);
        if (json_array_size(runs) > 0)
            print_table(
                runs, (const char *const[]){ "occurrence", "attempt", "at", "outcome", "problem", "detail", NULL });
        json_decref(rows);
    }
    json_decref(json);
    return CLI_OK;
}

int cmd_schedule_add(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "first", required_argument, NULL, 'f' },
        { "every", required_argument, NULL, 'e' }, { "reference", required_argument, NULL, 'r' },
        { "key", required_argument, NULL, 'k' }, { 0 } };
    const char *first = NULL, *every = "once", *reference = "", *key = NULL;
    for (int option; (option = cli_option(cli, argc, argv, options)) != -1;) {
        if (option == 'f')
            first = optarg;
        else if (option == 'e')
            every = optarg;
        else if (option == 'r')
            reference = optarg;
        else if (option == 'k')
            key = optarg;
        else
            return CLI_USAGE;
    }
    if (argc - optind != 3 || !first)
        return cli_usage(cli, "a user, a currency, an amount and --first are needed");
    json_t *json,
        *body = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "to_user_id", argv[optind], "currency", argv[optind + 1],
            "amount", argv[optind + 2], "reference", reference, "every", every, "first_at", first);
    int result = api_call(cli,
        &(struct api_call){
            "POST", "/api/schedules", .body = body, .with_key = true, .idempotency_key = key, .with_token = true },
        &json);
    return result == CLI_OK ? print_one(cli, json) : result;
}

static int show_list(struct cli *cli, int argc, char **argv, const char *base, const char *const *shown)
{
    static const struct option options[] = { { "limit", required_argument, NULL, 'l' },
        { "cursor", required_argument, NULL, 'c' }, { 0 } };
    const char *limit = "50", *cursor = "";
    for (int option; (option = cli_option(cli, argc, argv, options)) != -1;) {
        if (option == 'l')
            limit = optarg;
        else if (option == 'c')
            cursor = optarg;
        else
            return CLI_USAGE;
    }
    CLEANUP(xfree) char *path = xasprintf("%s?limit=%s%s%s", base, limit, *cursor ? "&cursor=" : "", cursor);
    return call_table(cli, &(struct api_call){ "GET", path, .with_token = true }, "schedules", shown);
}

int cmd_schedule_list(struct cli *cli, int argc, char **argv)
{
    return show_list(cli, argc, argv, "/api/schedules", columns);
}

int cmd_admin_schedules(struct cli *cli, int argc, char **argv)
{
    static const char *const shown[] = { "schedule_id", "user_id", "status", "to_user_id", "currency", "amount",
        "failed_attempts", "failed_in_a_row", "last_attempt_at", "last_problem", NULL };
    return show_list(cli, argc, argv, "/api/admin/schedules", shown);
}

static int on_one(struct cli *cli, int argc, char **argv, const char *method, const char *step)
{
    if (argc != 2)
        return cli_usage(cli, "the id of a scheduled transfer is needed");
    CLEANUP(xfree) char *path = xasprintf("/api/schedules/%s%s", argv[1], step);
    json_t *json;
    int result = api_call(cli, &(struct api_call){ method, path, .with_token = true }, &json);
    return result == CLI_OK ? print_one(cli, json) : result;
}

int cmd_schedule_show(struct cli *cli, int argc, char **argv)
{
    return on_one(cli, argc, argv, "GET", "");
}

int cmd_schedule_pause(struct cli *cli, int argc, char **argv)
{
    return on_one(cli, argc, argv, "POST", "/pause");
}

int cmd_schedule_resume(struct cli *cli, int argc, char **argv)
{
    return on_one(cli, argc, argv, "POST", "/resume");
}

int cmd_schedule_cancel(struct cli *cli, int argc, char **argv)
{
    return on_one(cli, argc, argv, "DELETE", "");
}
