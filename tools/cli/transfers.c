/* transfers.c -- accounts and transfers; what operators do with accounts; roles. */
#include "csv.h"

#include "cli_sql.h"

#include <event_bus/pg.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const account_columns[] = { "account_id", "user_id", "kind", "asset", "status", "available", "held",
    "overdraft", NULL };

static int show_accounts(struct cli *cli, const char *path)
{
    return call_table(cli, &(struct api_call){ "GET", path, .with_token = true }, "accounts", account_columns);
}

int cmd_accounts(struct cli *cli, int argc, char **argv)
{
    (void)argv;
    return argc > 1 ? cli_usage(cli, "accounts takes no argument") : show_accounts(cli, "/api/accounts");
}

/* Once under that key (NULL: a random one), and a line about what came of it. */
static int post(struct cli *cli, const char *path, const char *key, json_t *body, const char *line)
{
    return call_line(cli,
        &(struct api_call){ "POST", path, .body = body, .with_key = true, .idempotency_key = key, .with_token = true },
        line);
}

int cmd_transfer(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "key", required_argument, NULL, 'k' },
        { "reference", required_argument, NULL, 'r' }, { "hold", required_argument, NULL, 'h' }, { 0 } };
    const char *key = NULL, *reference = NULL, *seconds = NULL;
    for (int option; (option = cli_option(cli, argc, argv, options)) != -1;) {
        if (option == 'k')
            key = optarg;
        else if (option == 'r')
            reference = optarg;
        else if (option == 'h')
            seconds = optarg;
        else
            return CLI_USAGE;
    }
    if (argc - optind != 3)
        return cli_usage(cli, "a user's id, a currency and an amount are needed");
    json_t *body = json_pack(
        "{s:s, s:s, s:s}", "to_user_id", argv[optind], "currency", argv[optind + 1], "amount", argv[optind + 2]);
    if (reference)
        json_object_set_new(body, "reference", json_string(reference));
    if (seconds) {
        json_object_set_new(body, "pending", json_true());
        json_object_set_new(body, "expires_in_s", json_integer(strtoll(seconds, NULL, 10)));
    }
    return post(cli, "/api/transfers", key, body,
        "transfer {transfer_id} {status}: {amount} {currency} to user {to_user_id}; available {balance.available}");
}

int cmd_transfers(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "status", required_argument, NULL, 's' }, { 0 } };
    const char *status = NULL;
    for (int option; (option = cli_option(cli, argc, argv, options)) != -1;) {
        if (option != 's')
            return CLI_USAGE;
        status = optarg;
    }
    CLEANUP(xfree) char *path = xasprintf("/api/transfers%s%s", status ? "?status=" : "", status ? status : "");
    return call_table(cli, &(struct api_call){ "GET", path, .with_token = true }, "transfers",
        (const char *const[]){ "transfer_id", "status", "currency", "amount", "posted_amount", "from_user_id",
            "to_user_id", "reference", "expires_at", NULL });
}

/* One that was set aside goes on: its id, and maybe an amount. */
static int transfer_step(struct cli *cli, int argc, char **argv, const char *step)
{
    bool with_amount = argc == 3 && strcmp(step, "post") == 0;
    if (argc != 2 && !with_amount)
        return cli_usage(cli, "a transfer's id is needed");
    CLEANUP(xfree) char *path = xasprintf("/api/transfers/%s/%s", argv[1], step);
    return post(cli, path, NULL, with_amount ? json_pack("{s:s}", "amount", argv[2]) : json_object(),
        "transfer {transfer_id} {status} {posted_amount} {currency}");
}

int cmd_transfer_post(struct cli *cli, int argc, char **argv)
{
    return transfer_step(cli, argc, argv, "post");
}

int cmd_transfer_void(struct cli *cli, int argc, char **argv)
{
    return transfer_step(cli, argc, argv, "void");
}

/* ---- Roles: a word of the user's scope in identity's database ---- */

static bool set_role(const char *email, const char *role, bool revoke, json_t **ret_user, struct error *e)
{
    char dsn[CLI_DSN_MAX];
    CLEANUP(pg_free) struct pg *pg = NULL;
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    if (!cli_database_url("IDENTITY_POSTGRES_URL", dsn))
        return error_field(e, ERROR_INVALID, "", "IDENTITY_POSTGRES_URL", "is not set");
    const struct pg_options options = { .dsn = dsn, .application_name = "penstock-admin" };
    if (!pg_open(&options, &pg, e))
        return false;
    pg_arg_text(pg, email);
    pg_arg_text(pg, role);
    pg_arg_bool(pg, revoke);
    if (!pg_query(pg, &sql_admin_grant, &rows, e))
        return false;
    if (pg_rows(rows) == 0)
        return error_set(e, ERROR_REFUSED, "there is no user %s", email);
    *ret_user = json_pack("{s:I, s:s, s:s}", "user_id", (json_int_t)pg_get_int64(rows, 0, 0), "email", email, "scope",
        pg_get_text(rows, 0, 1));
    return true;
}

static int change_role(struct cli *cli, int argc, char **argv, bool revoke)
{
    struct error e = { 0 };
    json_t *user = NULL;
    if (argc != 3 || (strcmp(argv[2], "operator") != 0 && strcmp(argv[2], "admin") != 0))
        return cli_usage(cli, "an e-mail address and a role, operator or admin, are needed");
    if (!set_role(argv[1], argv[2], revoke, &user, &e))
        return cli_fail(e.kind == ERROR_REFUSED ? CLI_REFUSED : CLI_UNREACHABLE, &e);
    return show_line(cli, user, "{email}: {scope}");
}

int cmd_admin_grant(struct cli *cli, int argc, char **argv)
{
    return change_role(cli, argc, argv, false);
}

int cmd_admin_revoke(struct cli *cli, int argc, char **argv)
{
    return change_role(cli, argc, argv, true);
}

/* ---- Operators ---- */

int cmd_admin_accounts(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "user", required_argument, NULL, 0 },
        { "kind", required_argument, NULL, 1 }, { "asset", required_argument, NULL, 2 },
        { "status", required_argument, NULL, 3 }, { "after", required_argument, NULL, 4 },
        { "limit", required_argument, NULL, 5 }, { 0 } };
    static const char *const names[] = { "user_id", "kind", "asset", "status", "after", "limit" };
    char path[512] = "/api/admin/accounts?";
    for (int option; (option = cli_option(cli, argc, argv, options)) != -1;) {
        if (option > 5)
            return CLI_USAGE;
        size_t len = strlen(path);
        snprintf(path + len, sizeof path - len, "%s=%.40s&", names[option], optarg);
    }
    return argc != optind ? cli_usage(cli, "only options are taken") : show_accounts(cli, path);
}

static int change_account(struct cli *cli, const char *id, json_t *body)
{
    CLEANUP(xfree) char *path = xasprintf("/api/admin/accounts/%s", id);
    return call_line(cli, &(struct api_call){ "PATCH", path, .body = body, .with_token = true },
        "account {account_id}: {status}, overdraft {overdraft} {asset}");
}

static int set_status(struct cli *cli, int argc, char **argv, const char *status)
{
    return argc == 3 ? change_account(cli, argv[1], json_pack("{s:s, s:s}", "status", status, "reason", argv[2]))
                     : cli_usage(cli, "an account's id and a reason are needed");
}

int cmd_admin_freeze(struct cli *cli, int argc, char **argv)
{
    return set_status(cli, argc, argv, "frozen");
}

int cmd_admin_unfreeze(struct cli *cli, int argc, char **argv)
{
    return set_status(cli, argc, argv, "open");
}

int cmd_admin_close(struct cli *cli, int argc, char **argv)
{
    return set_status(cli, argc, argv, "closed");
}

int cmd_admin_reverse(struct cli *cli, int argc, char **argv)
{
    if (argc != 3)
        return cli_usage(cli, "a journal's id and a reason are needed");
    CLEANUP(xfree) char *path = xasprintf("/api/ledger/journals/%s/reverse", argv[1]);
    CLEANUP(xfree) char *line = xasprintf("journal %s is reversed by journal {journal_id}", argv[1]);
    return post(cli, path, NULL, json_pack("{s:s}", "reference", argv[2]), line);
}

/* ---- Adjustments by four eyes ---- */

/* Takes the body. */
static int propose(struct cli *cli, json_t *body)
{
    return post(cli, "/api/ledger/adjustments", NULL, body, "adjustment {adjustment_id} {status}");
}

int cmd_admin_propose(struct cli *cli, int argc, char **argv)
{
    struct error e = { 0 };
    if (argc != 6)
        return cli_usage(cli, "two accounts, a currency, an amount and a reference are needed");
    CLEANUP(xfree)
    char *line = xasprintf("1970-01-01,%s,%s,%s,%s,", argv[1], argv[2], argv[3], argv[4]);
    json_t *body = csv_journal(line, &e);
    if (!body)
        return e.kind == ERROR_NONE ? CLI_USAGE : cli_fail(CLI_USAGE, &e);
    json_object_del(body, "effective_at");
    json_object_set_new(body, "reference", json_string(argv[5]));
    return propose(cli, body);
}

int cmd_admin_propose_reversal(struct cli *cli, int argc, char **argv)
{
    if (argc != 3)
        return cli_usage(cli, "a journal's id and a reason are needed");
    return propose(cli, json_pack("{s:s, s:s}", "reverses", argv[1], "reference", argv[2]));
}

static int decide(struct cli *cli, int argc, char **argv, const char *decision)
{
    if (argc != 2 && argc != 3)
        return cli_usage(cli, "an adjustment's id is needed, and may be followed by a reason");
    CLEANUP(xfree) char *path = xasprintf("/api/ledger/adjustments/%s/%s", argv[1], decision);
    return post(cli, path, NULL, argc == 3 ? json_pack("{s:s}", "reason", argv[2]) : json_object(),
        "adjustment {adjustment_id} {status}, journal {journal_id}");
}

int cmd_admin_approve(struct cli *cli, int argc, char **argv)
{
    return decide(cli, argc, argv, "approve");
}

int cmd_admin_reject(struct cli *cli, int argc, char **argv)
{
    return decide(cli, argc, argv, "reject");
}

int cmd_admin_adjustments(struct cli *cli, int argc, char **argv)
{
    if (argc > 2)
        return cli_usage(cli, "at most a status is taken");
    CLEANUP(xfree)
    char *path = xasprintf("/api/ledger/adjustments%s%s", argc == 2 ? "?status=" : "", argc == 2 ? argv[1] : "");
    return call_table(cli, &(struct api_call){ "GET", path, .with_token = true }, "adjustments",
        (const char *const[]){
            "adjustment_id", "status", "proposed_by", "decided_by", "journal_id", "reference", "created_at", NULL });
}

int cmd_admin_overdraft(struct cli *cli, int argc, char **argv)
{
    return argc == 4 ? change_account(cli, argv[1], json_pack("{s:s, s:s}", "overdraft", argv[2], "reason", argv[3]))
                     : cli_usage(cli, "an account's id, an amount and a reason are needed");
}
