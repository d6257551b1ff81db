/* verify.c -- penstock verify: the log against the database against the engine's book.
 *
 * The cut: first the engine says which sequence its (committed) book stands at; then one repeatable-read snapshot of
 * the database says which orders and top-ups there are and how far each market is booked; then the log is read until it
 * holds at least that much. What is newer in the log is not counted. So it can run against a live system. */
#include "reader.h"

#include "../../services/chassis/http.h"
#include "cli_sql.h"
#include "log_state.h"

#include <event_bus/pg.h>

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE_ROWS = 50000, POLL_MS = 200 };

struct verify {
    struct cli *cli;
    struct log_state *state;
    struct pg *pg;
    const char *engine_url;
    int64_t patience_us, deadline_us; /* so long without an event, and until when that is */
    json_t *report;                   /* what was compared: name → count */
    json_t *engine;                   /* symbol → the engine's answer */
};

/* ---- Reading the log ---- */

/* Reads `topic` to its end, and on until *missing (optional) is 0 or the deadline has passed. */
static bool read_topic(
    struct verify *v, const char *topic, size_t (*missing)(const struct log_state *), struct error *e)
{
    CLEANUP(reader_free) struct reader *reader = NULL;
    const char *topics[] = { topic, NULL };
    struct error malformed;
    v->deadline_us = now_us() + v->patience_us;
    if (!reader_open(&v->cli->kafka, topics, (struct reader_start){ READER_BEGINNING, 0 }, true, &reader, e))
        return false;
    for (bool at_end = false; !at_end || (missing && missing(v->state) > 0);) {
        struct event event;
        if (at_end && now_us() > v->deadline_us)
            return true; /* the comparison will name what is missing */
        switch (reader_next(reader, POLL_MS, &event, &malformed, e)) {
        case READER_EVENT:
            v->deadline_us = now_us() + v->patience_us;
            if (malformed.kind != ERROR_NONE)
                return error_set(e, ERROR_REFUSED, "%s offset %lld is not an event: %s", topic,
                    (long long)reader_message(reader)->offset, malformed.message);
            if (!log_state_apply(v->state, &event, e))
                return false;
            break;
        case READER_IDLE:
            if (now_us() > v->deadline_us)
                return error_set(e, ERROR_TRANSIENT, "the end of %s was not reached in time", topic);
            break;
        case READER_DONE:
            at_end = true;
            break;
        case READER_FAILED:
            return false;
        }
    }
    return true;
}

/* ---- The engine ---- */

static size_t collect(char *data, size_t size, size_t count, void *context)
{
    FILE *out = context;
    return fwrite(data, size, count, out);
}

static bool fetch_engine(struct verify *v, const char *symbol, struct error *e)
{
    CLEANUP(xfree) char *url = xasprintf("%s/internal/markets/%s/orders", v->engine_url, symbol);
    char *body = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&body, &len);
    CURL *easy = curl_easy_init();
    long status = 0;
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, out);
    CURLcode code = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(easy);
    fclose(out);
    json_t *json = code == CURLE_OK && status == 200 ? json_loadb(body, len, 0, NULL) : NULL;
    free(body);
    if (!json)
        return error_set(e, ERROR_TRANSIENT, "the engine's book of %s cannot be had: %s (%ld)", symbol,
            curl_easy_strerror(code), status);
    json_object_set_new(v->engine, symbol, json);
    log_state_market(v->state, symbol)->engine_seq = (uint64_t)json_int64(json, "seq");
    return true;
}

/* ---- The database ---- */

typedef bool (*row_function)(struct verify *v, const struct pg_result *rows, size_t row, struct error *e);

/* Calls `each` for every row of a statement that pages by id. */
static bool each_row(struct verify *v, const struct pg_statement *statement, row_function each, struct error *e)
{
    for (int64_t last = 0;;) {
        CLEANUP(pg_result_free) struct pg_result *rows = NULL;
        pg_arg_int64(v->pg, last);
        pg_arg_int64(v->pg, PAGE_ROWS);
        if (!pg_query(v->pg, statement, &rows, e))
            return false;
        for (size_t i = 0; i < pg_rows(rows); i++)
            if (!each(v, rows, i, e))
                return false;
        if (pg_rows(rows) < PAGE_ROWS)
            return true;
        last = pg_get_int64(rows, pg_rows(rows) - 1, 0);
    }
}

static bool expect_order(struct verify *v, const struct pg_result *rows, size_t row, struct error *e)
{
    (void)e;
    log_state_expect_order(v->state, (uint64_t)pg_get_int64(rows, row, 0), (uint64_t)pg_get_int64(rows, row, 4));
    return true;
}

static bool expect_topup(struct verify *v, const struct pg_result *rows, size_t row, struct error *e)
{
    (void)e;
    log_state_expect_topup(v->state, (uint64_t)pg_get_int64(rows, row, 0));
    return true;
}

static bool expect_journal(struct verify *v, const struct pg_result *rows, size_t row, struct error *e)
{
    (void)e;
    log_state_expect_journal(v->state, (uint64_t)pg_get_int64(rows, row, 0), (size_t)pg_get_int64(rows, row, 1));
    return true;
}

static bool read_progress(struct verify *v, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    if (!pg_query(v->pg, &sql_verify_markets, &rows, e))
        return false;
    for (size_t i = 0; i < pg_rows(rows); i++) {
        struct log_market *market = log_state_market(v->state, pg_get_text(rows, i, 0));
        if (!market)
            return error_set(
                e, ERROR_REFUSED, "market %s is in the database but not on markets.v1", pg_get_text(rows, i, 0));
        market->booked_posting_seq = (uint64_t)pg_get_int64(rows, i, 1);
    }
    return true;
}

/* ---- Comparing ---- */

static void compared(struct verify *v, const char *what, json_int_t count)
{
    json_object_set_new(v->report, what, json_integer(count));
    if (!v->cli->json)
        printf("%-52s %10lld\n", what, (long long)count);
}

static bool compare_order(struct verify *v, const struct pg_result *rows, size_t row, struct error *e)
{
    uint64_t id = (uint64_t)pg_get_int64(rows, row, 0);
    const struct log_order *order = log_state_order(v->state, id);
    if (!order || !order->in_log)
        return error_set(e, ERROR_REFUSED, "order %llu is in the database but not in the log", (unsigned long long)id);
    int64_t status = pg_get_int64(rows, row, 1), filled = pg_get_int64(rows, row, 2), held = pg_get_int64(rows, row, 3);
    if (status != order->status || filled != order->filled_lots || held != log_order_held(v->state, order))
        return error_set(e, ERROR_REFUSED,
            "order %llu: status/filled/held are %lld/%lld/%lld in the database, %d/%lld/%lld by the log",
            (unsigned long long)id, (long long)status, (long long)filled, (long long)held, order->status,
            (long long)order->filled_lots, (long long)log_order_held(v->state, order));
    if (pg_get_int64(rows, row, 5) != order->amend_hold_minor || pg_get_int64(rows, row, 6) != order->price_ticks ||
        pg_get_int64(rows, row, 7) != order->quantity_lots)
        return error_set(e, ERROR_REFUSED,
            "order %llu: amendment's hold/price/quantity are %lld/%lld/%lld in the database, %lld/%lld/%lld by the log",
            (unsigned long long)id, (long long)pg_get_int64(rows, row, 5), (long long)pg_get_int64(rows, row, 6),
            (long long)pg_get_int64(rows, row, 7), (long long)order->amend_hold_minor, (long long)order->price_ticks,
            (long long)order->quantity_lots);
    return true;
}

static bool compare_account(struct verify *v, const struct pg_result *rows, size_t row, struct error *e)
{
    struct log_balance *balance = log_state_balance(v->state, (uint64_t)pg_get_int64(rows, row, 1),
        (int)pg_get_int64(rows, row, 2), (uint32_t)pg_get_int64(rows, row, 3));
    int64_t available = pg_get_int64(rows, row, 4), held = pg_get_int64(rows, row, 5);
    balance->compared = true;
    if (available == balance->available && held == balance->held)
        return true;
    return error_set(e, ERROR_REFUSED,
        "owner %llu kind %d asset %u: available/held are %lld/%lld in the database, %lld/%lld by the log",
        (unsigned long long)balance->owner_id, balance->kind, balance->asset_id, (long long)available, (long long)held,
        (long long)balance->available, (long long)balance->held);
}

static bool compare_accounts(struct verify *v, struct error *e)
{
    size_t count = 0;
    if (!each_row(v, &sql_verify_accounts, compare_account, e))
        return false;
    for (const struct log_balance *b; (b = log_state_balance_at(v->state, count)); count++)
        if (!b->compared && (b->available != 0 || b->held != 0))
            return error_set(e, ERROR_REFUSED, "owner %llu kind %d asset %u has %lld/%lld by the log and no account",
                (unsigned long long)b->owner_id, b->kind, b->asset_id, (long long)b->available, (long long)b->held);
    compared(v, "balances: log = database", (json_int_t)count);
    return true;
}

/* A statement whose every row is a violation: name, detail. */
static bool no_rows(struct verify *v, const struct pg_statement *statement, const char *what, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    if (!pg_query(v->pg, statement, &rows, e))
        return false;
    return pg_rows(rows) == 0 || error_set(e, ERROR_REFUSED, "%s: %s", what, pg_get_text(rows, 0, 1));
}

/* The engine's open orders against the log's, both ways: same ids, same quantities, same count. */
static bool compare_book(struct verify *v, const char *symbol, const json_t *answer, size_t *count, struct error *e)
{
    size_t i, resting = 0;
    const json_t *row, *orders = json_object_get(answer, "orders");
    json_array_foreach(orders, i, row)
    {
        uint64_t id = (uint64_t)json_int64(row, "order_id");
        int64_t lots = json_int64(row, "remaining_lots");
        const struct log_order *order = log_state_order(v->state, id);
        if (!order || !order->resting || order->resting_lots != lots || strcmp(order->symbol, symbol) != 0)
            return error_set(e, ERROR_REFUSED, "order %llu rests with %lld lots in the engine, %lld by the log",
                (unsigned long long)id, (long long)lots,
                order && order->resting ? (long long)order->resting_lots : 0LL);
    }
    const struct log_order *order;
    for (size_t at = 0; (order = log_state_order_at(v->state, at)); at++)
        resting += order->in_log && order->resting && strcmp(order->symbol, symbol) == 0;
    if (resting != json_array_size(orders))
        return error_set(e, ERROR_REFUSED, "%s: %zu orders rest in the engine, %zu by the log", symbol,
            json_array_size(orders), resting);
    *count += resting;
    return true;
}

static bool compare_books(struct verify *v, struct error *e)
{
    size_t count = 0;
    const char *symbol;
    json_t *answer;
    json_object_foreach(v->engine, symbol, answer)
    {
        if (!compare_book(v, symbol, answer, &count, e))
            return false;
    }
    compared(v, "open orders: log = engine's book", (json_int_t)count);
    return true;
}

static bool compare_orders(struct verify *v, struct error *e)
{
    size_t count = 0;
    if (!each_row(v, &sql_verify_orders, compare_order, e))
        return false;
    for (const struct log_order *order; (order = log_state_order_at(v->state, count)); count++)
        ;
    compared(v, "orders: log = database", (json_int_t)count);
    return true;
}

/* ---- The run ---- */

static bool open_database(struct verify *v, struct error *e)
{
    char dsn[CLI_DSN_MAX];
    if (!cli_database_url("TRADE_LEDGER_POSTGRES_URL", dsn))
        return error_field(e, ERROR_INVALID, "", "TRADE_LEDGER_POSTGRES_URL", "is not set");
    struct pg_options options = { .dsn = dsn, .application_name = "penstock-verify", .statement_timeout_ms = 600000 };
    return pg_open(&options, &v->pg, e);
}

/* Right after a first start a market may still be on its way to Kafka and to the engine. */
static bool wait_for_engine(struct verify *v, const char *symbol, struct error *e)
{
    while (!fetch_engine(v, symbol, e)) {
        if (now_us() > v->deadline_us)
            return false;
        error_clear(e);
        usleep(POLL_MS * 1000);
    }
    return true;
}

static bool cut(struct verify *v, struct error *e)
{
    const struct log_market *market;
    CLEANUP(pg_result_free) struct pg_result *markets = NULL;
    if (!open_database(v, e) || !pg_query(v->pg, &sql_verify_markets, &markets, e))
        return false;
    log_state_expect_markets(v->state, pg_rows(markets));
    if (!read_topic(v, "markets.v1", log_state_missing_markets, e))
        return false;
    for (size_t i = 0; (market = log_state_market_at(v->state, i)); i++)
        if (!wait_for_engine(v, market->symbol, e))
            return false;
    return pg_begin(v->pg, e) && pg_query(v->pg, &sql_verify_snapshot, NULL, e) && read_progress(v, e) &&
           each_row(v, &sql_verify_orders, expect_order, e) && each_row(v, &sql_verify_topups, expect_topup, e) &&
           each_row(v, &sql_verify_journals, expect_journal, e);
}

static bool run(struct verify *v, struct error *e)
{
    if (!cut(v, e) || !read_topic(v, "orders.accepted.v1", log_state_missing_orders, e) ||
        !read_topic(v, "topups.events.v1", log_state_missing_topups, e) ||
        !read_topic(v, "ledger.postings.v1", NULL, e) || !read_topic(v, "trades.v1", NULL, e) ||
        !read_topic(v, "orders.events.v1", NULL, e) ||
        !read_topic(v, "ledger.entries.v1", log_state_missing_entries, e))
        return false;
    compared(v, "events read, each ce_id once, sequences gapless", (json_int_t)log_state_events(v->state));
    if (log_state_missing_topups(v->state) > 0)
        return error_set(
            e, ERROR_REFUSED, "%zu top-ups are in the database but not in the log", log_state_missing_topups(v->state));
    if (log_state_missing_entries(v->state) > 0)
        return error_set(e, ERROR_REFUSED,
            "%zu entries of transfers and journals are in the database but not in the log",
            log_state_missing_entries(v->state));
    compared(v, "transfers and journals: log = database", (json_int_t)log_state_journals(v->state));
    if (!compare_orders(v, e) || !compare_accounts(v, e) || !compare_books(v, e))
        return false;
    return no_rows(v, &sql_verify_unbalanced, "an asset does not sum to zero", e) &&
           no_rows(v, &sql_verify_entries, "a balance is not the sum of its entries", e);
}

/* One whole comparison; prints the result with --json. */
static bool verify_once(struct cli *cli, const char *engine_url, long timeout_s, bool confirmed, struct error *e)
{
    struct verify v = { .cli = cli,
        .state = log_state_new(),
        .engine_url = engine_url,
        .patience_us = timeout_s * 1000000,
        .deadline_us = now_us() + timeout_s * 1000000,
        .report = json_object(),
        .engine = json_object() };
    bool same = run(&v, e);
    if (cli->json && (same || e->kind != ERROR_REFUSED || confirmed)) {
        json_t *result =
            json_pack("{s:b, s:O, s:s}", "same", same, "compared", v.report, "difference", same ? "" : e->message);
        print_json(result);
        json_decref(result);
    }
    pg_free(v.pg);
    log_state_free(v.state);
    json_decref(v.report);
    json_decref(v.engine);
    return same;
}

int cmd_verify(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = { { "timeout", required_argument, NULL, 't' }, { 0 } };
    long timeout_s = 60;
    struct error e = { 0 };
    for (int option; (option = cli_option(cli, argc, argv, options)) != -1;) {
        if (option != 't')
            return CLI_USAGE;
        timeout_s = strtol(optarg, NULL, 10);
    }
    if (argc != optind || timeout_s <= 0)
        return cli_usage(cli, "verify takes only --timeout SECONDS, above 0");
    const char *engine_url = getenv("MATCHING_ENGINE_URL"), *engine_port = getenv("MATCHING_ENGINE_PORT");
    CLEANUP(xfree) char *local = xasprintf("http://127.0.0.1:%s", engine_port && *engine_port ? engine_port : "8084");
    engine_url = engine_url && *engine_url ? engine_url : local;
    bool same = verify_once(cli, engine_url, timeout_s, false, &e);
    if (!same && e.kind == ERROR_REFUSED) {
        /* Kafka shows a transaction to readers a moment after its commit was answered: a true difference is there
         * again. */
        fprintf(stderr, "penstock: %s; reading all once more to confirm it\n", e.message);
        error_clear(&e);
        same = verify_once(cli, engine_url, timeout_s, true, &e);
    }
    if (!same)
        return cli_fail(e.kind == ERROR_REFUSED ? CLI_REFUSED : CLI_UNREACHABLE, &e);
    if (!cli->json)
        puts("verified: the log, the database and the engine agree");
    return CLI_OK;
}
