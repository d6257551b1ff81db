/* cli.h -- the `penstock` command: one row a subcommand in main.c's table, one function each.
 *
 * Every command prints for humans, or with --json one JSON value on stdout (events tail: one a line). Messages go to
 * stderr. Exit codes, for scripts: */
#pragma once

#include <event_bus/error.h>
#include <event_bus/kafka.h>

#include <getopt.h>
#include <jansson.h>

enum cli_exit {
    CLI_OK = 0,
    CLI_REFUSED = 1,     /* understood, and the answer is no; verify: a difference */
    CLI_USAGE = 2,       /* the command line is wrong */
    CLI_UNREACHABLE = 3, /* gateway, Kafka or Postgres does not answer */
    CLI_NO_SESSION = 4,  /* not logged in, or the session has ended */
};

struct cli {
    bool json;
    const char *gateway_url;
    struct kafka_options kafka;
    const char *usage; /* of the command that runs */
};

/* argv[0] is the last word of the command; options of the command follow. */
typedef int (*cli_command)(struct cli *cli, int argc, char **argv);

int cmd_signup(struct cli *cli, int argc, char **argv);
int cmd_login(struct cli *cli, int argc, char **argv);
int cmd_logout(struct cli *cli, int argc, char **argv);
int cmd_whoami(struct cli *cli, int argc, char **argv);
int cmd_topup(struct cli *cli, int argc, char **argv);
int cmd_portfolio(struct cli *cli, int argc, char **argv);
int cmd_balance(struct cli *cli, int argc, char **argv);
int cmd_statement(struct cli *cli, int argc, char **argv);
int cmd_interest(struct cli *cli, int argc, char **argv);
int cmd_schedule_add(struct cli *cli, int argc, char **argv);
int cmd_schedule_list(struct cli *cli, int argc, char **argv);
int cmd_schedule_show(struct cli *cli, int argc, char **argv);
int cmd_schedule_pause(struct cli *cli, int argc, char **argv);
int cmd_schedule_resume(struct cli *cli, int argc, char **argv);
int cmd_schedule_cancel(struct cli *cli, int argc, char **argv);
int cmd_positions(struct cli *cli, int argc, char **argv);
int cmd_reconcile(struct cli *cli, int argc, char **argv);
int cmd_entries(struct cli *cli, int argc, char **argv);
int cmd_order_place(struct cli *cli, int argc, char **argv);
int cmd_order_batch(struct cli *cli, int argc, char **argv);
int cmd_order_amend(struct cli *cli, int argc, char **argv);
int cmd_order_cancel_all(struct cli *cli, int argc, char **argv);
int cmd_order_cancel(struct cli *cli, int argc, char **argv);
int cmd_order_get(struct cli *cli, int argc, char **argv);
int cmd_order_fills(struct cli *cli, int argc, char **argv);
int cmd_order_list(struct cli *cli, int argc, char **argv);
int cmd_asset_add(struct cli *cli, int argc, char **argv);
int cmd_market_add(struct cli *cli, int argc, char **argv);
int cmd_market_set(struct cli *cli, int argc, char **argv);
int cmd_market_status(struct cli *cli, int argc, char **argv);
int cmd_market_reference(struct cli *cli, int argc, char **argv);
int cmd_market_kill(struct cli *cli, int argc, char **argv);
int cmd_markets(struct cli *cli, int argc, char **argv);
int cmd_book(struct cli *cli, int argc, char **argv);
int cmd_trades(struct cli *cli, int argc, char **argv);
int cmd_events_tail(struct cli *cli, int argc, char **argv);
int cmd_dlq_list(struct cli *cli, int argc, char **argv);
int cmd_dlq_show(struct cli *cli, int argc, char **argv);
int cmd_dlq_retry(struct cli *cli, int argc, char **argv);
int cmd_dlq_drop(struct cli *cli, int argc, char **argv);
int cmd_verify(struct cli *cli, int argc, char **argv);
int cmd_relay_status(struct cli *cli, int argc, char **argv);
int cmd_relay_pause(struct cli *cli, int argc, char **argv);
int cmd_relay_resume(struct cli *cli, int argc, char **argv);
int cmd_relay_replay(struct cli *cli, int argc, char **argv);
int cmd_relay_parked_list(struct cli *cli, int argc, char **argv);
int cmd_relay_parked_retry(struct cli *cli, int argc, char **argv);
int cmd_accounts(struct cli *cli, int argc, char **argv);
int cmd_transfer(struct cli *cli, int argc, char **argv);
int cmd_transfers(struct cli *cli, int argc, char **argv);
int cmd_transfer_post(struct cli *cli, int argc, char **argv);
int cmd_transfer_void(struct cli *cli, int argc, char **argv);
int cmd_admin_reverse(struct cli *cli, int argc, char **argv);
int cmd_ledger_import(struct cli *cli, int argc, char **argv);
int cmd_admin_schedules(struct cli *cli, int argc, char **argv);
int cmd_admin_propose_reversal(struct cli *cli, int argc, char **argv);
int cmd_admin_propose(struct cli *cli, int argc, char **argv);
int cmd_admin_approve(struct cli *cli, int argc, char **argv);
int cmd_admin_reject(struct cli *cli, int argc, char **argv);
int cmd_admin_adjustments(struct cli *cli, int argc, char **argv);
int cmd_admin_grant(struct cli *cli, int argc, char **argv);
int cmd_admin_revoke(struct cli *cli, int argc, char **argv);
int cmd_admin_accounts(struct cli *cli, int argc, char **argv);
int cmd_admin_freeze(struct cli *cli, int argc, char **argv);
int cmd_admin_unfreeze(struct cli *cli, int argc, char **argv);
int cmd_admin_close(struct cli *cli, int argc, char **argv);
int cmd_admin_overdraft(struct cli *cli, int argc, char **argv);
int cmd_demo(struct cli *cli, int argc, char **argv);

/* ---- Settings (parked.c) ---- */

enum { CLI_DSN_MAX = 1024 };
/* Of a service's database: the value of `name`, or of the file that <name>_FILE names; false: neither is set. */
bool cli_database_url(const char *name, char ret_dsn[CLI_DSN_MAX]);

/* ---- Command lines ---- */

/* Says what is wrong and how it is meant. Always CLI_USAGE. */
int cli_usage(const struct cli *cli, const char *fmt, ...) PRINTF(2, 3);
int cli_fail(enum cli_exit code, const struct error *e);
/* getopt_long() with long options only; -1 at the end, '?' after having complained. Option values are in optarg. */
int cli_option(const struct cli *cli, int argc, char **argv, const struct option *options);

/* ---- HTTP (http.c): one call, blocking ---- */

struct api_call {
    const char *method, *path;   /* path with query */
    json_t *body;                /* taken; NULL: none */
    const char *idempotency_key; /* NULL: none, or with_key: a random one */
    bool with_key, with_token;
    const char *file_type; /* not NULL: the body is a file of that content type, borrowed: */
    const char *file;
    size_t file_len;
    char **ret_text; /* not NULL: the answer may be no JSON, and goes here (xfree) … */
    size_t *ret_len; /* … with its length, unless NULL */
};
/* On success *ret_json is the caller's (json_decref; may be NULL for an empty body). Prints the problem on failure and
 * gives the exit code. A 401 with a session: refreshes the tokens once and tries again. */
int api_call(struct cli *cli, const struct api_call *call, json_t **ret_json);
void random_key(char ret_key[33]); /* 128 random bits in hex */

/* ---- Session (session.c): tokens in a file only its owner reads ---- */
json_t *session_load(void); /* {access_token, refresh_token, user_id, email}; NULL: none. PENSTOCK_TOKEN wins. */
MUST_CHECK bool session_save(const json_t *session, struct error *e);
void session_forget(void);

/* ---- Output (print.c) ---- */
void print_json(const json_t *json); /* one line */
/* rows: array of objects; columns: NULL-terminated field names, also the headings. */
void print_table(const json_t *rows, const char *const *columns);
/* How a command ends: its answer, which is taken, as it came with --json; else as a table of its array `list` (NULL: of
 * itself), or as a line in which {field} and {object.field} stand for what is there. Both give CLI_OK. */
int show_table(const struct cli *cli, json_t *answer, const char *list, const char *const *columns);
int show_line(const struct cli *cli, json_t *answer, const char *line);
/* The same with the call that brings the answer. */
int call_table(struct cli *cli, const struct api_call *call, const char *list, const char *const *columns);
int call_line(struct cli *cli, const struct api_call *call, const char *line);
