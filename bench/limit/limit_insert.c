/* limit_insert.c -- how many orders a second this Postgres could take at most: one connection that writes, in batches
 * by arrays, the rows that trade-ledger writes for an order, with trade-ledger's own statements and nothing else: no
 * decision, no read, no lock, one round trip a batch. With --transfers: double entry between --users accounts. To be
 * run on a database made by tools/migrate for it. */
#include "sql.h"

#include "ledger_v1.pb-c.h"
#include "orders_v1.pb-c.h"

#include <event_bus/outbox.h>

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH_MAX = 4096,
    USERS_MAX = 16384,
    DIGEST_LEN = 32,
    USD = 1,
    ACCOUNT_USER = 1,
    JOURNAL_HOLD = 2,
    JOURNAL_TRANSFER = 5,
    MARKET_BTC_USD = 1,
    KEY_MAX = 24,
    SIDE_BUY = 1,
    TYPE_LIMIT = 1,
    GTC = 1,
    PRICE_TICKS = 6500000,
    QUANTITY_LOTS = 100,
    MAKER_FEE_PPM = 1000,
    TAKER_FEE_PPM = 2000,
};

static const int64_t hold_minor = (int64_t)PRICE_TICKS * QUANTITY_LOTS;
static const int64_t plenty_minor = INT64_C(1000000000000000000);
static const char traceparent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

struct options {
    const char *dsn;
    size_t batch, users;
    double seconds;
    bool transfers;
};

struct limit {
    const struct options *options;
    struct pg *pg;
    struct outbox *outbox;
    struct arena *arena;
    int64_t *account_ids, *available, *held; /* by user */
    int64_t next_id;                         /* of orders, journals and (twice, for transfers) entries alike */
    int64_t now_us;
};

/* One column of a batch: the value of an expression in `i`. */
#define COLUMN(type, expression) COLUMN_OF(n, type, expression)
#define COLUMN_OF(count, type, expression)                                                                             \
    ({                                                                                                                 \
        type *column_ = arena_alloc(limit->arena, ((count) + 1) * sizeof(type));                                       \
        for (size_t i = 0; i < (count); i++)                                                                           \
            column_[i] = (expression);                                                                                 \
        column_;                                                                                                       \
    })

static size_t user_of(const struct limit *limit, size_t i)
{
    return i % limit->options->users;
}

static int64_t user_id(size_t user)
{
    return (int64_t)user + 1;
}

static const char *reference(const struct limit *limit, size_t i)
{
    return arena_printf(limit->arena, "order:%" PRId64, limit->next_id + (int64_t)i);
}

/* The request behind a journal, as trade-ledger names it. */
static const char *cause(const struct limit *limit, size_t i)
{
    return arena_printf(limit->arena, "user:%" PRId64 " 64c0f1a2b3d4e-%" PRId64, user_id(user_of(limit, i)),
        limit->next_id + (int64_t)i);
}

/* As trade-ledger's answer to a POST, which its inbox keeps. */
static struct bytes reply(const struct limit *limit, size_t i)
{
    char *text = arena_printf(limit->arena,
        "{\"order_id\":\"%" PRId64 "\",\"status\":\"accepted\",\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":"
        "\"limit\",\"price\":\"65000.00\",\"quantity\":\"0.000100\",\"filled_quantity\":\"0.000000\","
        "\"remaining_quantity\":\"0.000100\",\"time_in_force\":\"GTC\",\"post_only\":false,\"held\":\"6.5\","
        "\"held_asset\":\"USD\",\"created_at\":\"2026-01-01T00:00:00.000000Z\",\"updated_at\":\"2026-01-01T00:00:00."
        "000000Z\"}",
        limit->next_id + (int64_t)i);
    return (struct bytes){ text, strlen(text) };
}

/* orders.accepted.v1 and orders.events.v1. */
static void add_order_events(struct limit *limit, size_t i, const char *key)
{
    Penstock__Orders__V1__OrderAccepted accepted = PENSTOCK__ORDERS__V1__ORDER_ACCEPTED__INIT;
    accepted.order_id = (uint64_t)limit->next_id + i;
    accepted.user_id = (uint64_t)user_id(user_of(limit, i));
    accepted.symbol = (char *)"BTC-USD";
    accepted.side = PENSTOCK__ORDERS__V1__SIDE__SIDE_BUY;
    accepted.type = PENSTOCK__ORDERS__V1__ORDER_TYPE__ORDER_TYPE_LIMIT;
    accepted.time_in_force = PENSTOCK__ORDERS__V1__TIME_IN_FORCE__TIME_IN_FORCE_GTC;
    accepted.price_ticks = PRICE_TICKS;
    accepted.quantity_lots = QUANTITY_LOTS;
    accepted.hold_minor = hold_minor;
    accepted.accepted_at_us = limit->now_us;
    accepted.request_source = (char *)"http";
    accepted.request_id = arena_printf(limit->arena, "64c0f1a2b3d4e-%" PRId64, limit->next_id + (int64_t)i);
    outbox_add(limit->outbox, "orders.accepted.v1", "BTC-USD", &accepted.base, traceparent);
    outbox_add(limit->outbox, "orders.events.v1", key, &accepted.base, traceparent);
}

/* ledger.entries.v1. */
static void add_entry_event(struct limit *limit, size_t i, const char *key, int64_t available, int64_t held)
{
    Penstock__Ledger__V1__Entry entry = PENSTOCK__LEDGER__V1__ENTRY__INIT, *entries[] = { &entry };
    Penstock__Ledger__V1__EntriesPosted posted = PENSTOCK__LEDGER__V1__ENTRIES_POSTED__INIT;
    entry.entry_id = (uint64_t)limit->next_id + i;
    entry.account_id = (uint64_t)limit->account_ids[user_of(limit, i)];
    entry.asset_id = USD;
    entry.asset = (char *)"USD";
    entry.kind = PENSTOCK__LEDGER__V1__ACCOUNT_KIND__ACCOUNT_KIND_USER;
    entry.available_delta_minor = -hold_minor;
    entry.held_delta_minor = hold_minor;
    entry.available_minor = available;
    entry.held_minor = held;
    posted.journal_id = (uint64_t)limit->next_id + i;
    posted.kind = PENSTOCK__LEDGER__V1__JOURNAL_KIND__JOURNAL_KIND_HOLD;
    posted.owner_id = (uint64_t)user_id(user_of(limit, i));
    posted.reference = (char *)reference(limit, i);
    posted.posted_at_us = limit->now_us;
    posted.entries = entries;
    posted.n_entries = ARRAY_LEN(entries);
    outbox_add(limit->outbox, "ledger.entries.v1", key, &posted.base, traceparent);
}

/* The balances after the batch, and its journals and entries. */
static bool send_ledger(struct limit *limit, struct error *e)
{
    size_t n = limit->options->batch, users = limit->options->users < n ? limit->options->users : n;
    int64_t *available_after = arena_alloc(limit->arena, n * sizeof *available_after);
    int64_t *held_after = arena_alloc(limit->arena, n * sizeof *held_after);
    for (size_t i = 0; i < n; i++) {
        char key[KEY_MAX];
        size_t user = user_of(limit, i);
        available_after[i] = limit->available[user] -= hold_minor;
        held_after[i] = limit->held[user] += hold_minor;
        snprintf(key, sizeof key, "%" PRId64, user_id(user));
        add_order_events(limit, i, key);
        add_entry_event(limit, i, key, available_after[i], held_after[i]);
    }
    pg_arg_int64s(limit->pg, limit->account_ids, users);
    pg_arg_int64s(limit->pg, limit->available, users);
    pg_arg_int64s(limit->pg, limit->held, users);
    if (!pg_send(limit->pg, &sql_accounts_save, NULL, e))
        return false;
    const int64_t *ids = COLUMN(int64_t, limit->next_id + (int64_t)i);
    pg_arg_int64s(limit->pg, ids, n);
    pg_arg_int32s(limit->pg, COLUMN(int32_t, JOURNAL_HOLD), n);
    pg_arg_texts(limit->pg, COLUMN(const char *, reference(limit, i)), n);
    pg_arg_int64(limit->pg, limit->now_us);
    pg_arg_texts(limit->pg, COLUMN(const char *, cause(limit, i)), n);
    if (!pg_send(limit->pg, &sql_journals_insert, NULL, e))
        return false;
    pg_arg_int64s(limit->pg, ids, n);
    pg_arg_int64s(limit->pg, ids, n);
    pg_arg_int64s(limit->pg, COLUMN(int64_t, limit->account_ids[user_of(limit, i)]), n);
    pg_arg_int32s(limit->pg, COLUMN(int32_t, USD), n);
    pg_arg_int64s(limit->pg, COLUMN(int64_t, -hold_minor), n);
    pg_arg_int64s(limit->pg, COLUMN(int64_t, hold_minor), n);
    pg_arg_int64s(limit->pg, available_after, n);
    pg_arg_int64s(limit->pg, held_after, n);
    return pg_send(limit->pg, &sql_entries_insert, NULL, e);
}

static bool send_orders(struct limit *limit, struct error *e)
{
    size_t n = limit->options->batch;
    pg_arg_int64s(limit->pg, COLUMN(int64_t, limit->next_id + (int64_t)i), n);
    pg_arg_int64s(limit->pg, COLUMN(int64_t, user_id(user_of(limit, i))), n);
    pg_arg_int32s(limit->pg, COLUMN(int32_t, MARKET_BTC_USD), n);
    pg_arg_int32s(limit->pg, COLUMN(int32_t, SIDE_BUY), n);
    pg_arg_int32s(limit->pg, COLUMN(int32_t, TYPE_LIMIT), n);
    pg_arg_int32s(limit->pg, COLUMN(int32_t, GTC), n);
    pg_arg_int32s(limit->pg, COLUMN(int32_t, 0), n);
    pg_arg_int64s(limit->pg, COLUMN(int64_t, PRICE_TICKS), n);
    pg_arg_int64s(limit->pg, COLUMN(int64_t, QUANTITY_LOTS), n);
    pg_arg_int64s(limit->pg, COLUMN(int64_t, hold_minor), n);
    pg_arg_int32s(limit->pg, COLUMN(int32_t, MAKER_FEE_PPM), n);
    pg_arg_int32s(limit->pg, COLUMN(int32_t, TAKER_FEE_PPM), n);
    pg_arg_int64(limit->pg, limit->now_us);
    return pg_send(limit->pg, &sql_orders_insert, NULL, e);
}

static bool send_inbox(struct limit *limit, struct error *e)
{
    static const uint8_t digest[DIGEST_LEN] = { 1 };
    size_t n = limit->options->batch;
    pg_arg_texts(
        limit->pg, COLUMN(const char *, arena_printf(limit->arena, "user:%" PRId64, user_id(user_of(limit, i)))), n);
    pg_arg_texts(limit->pg,
        COLUMN(const char *, arena_printf(limit->arena, "64c0f1a2b3d4e-%" PRId64, limit->next_id + (int64_t)i)), n);
    pg_arg_blobs(limit->pg, COLUMN(struct bytes, ((struct bytes){ digest, sizeof digest })), n);
    pg_arg_int32s(limit->pg, COLUMN(int32_t, 201), n);
    pg_arg_blobs(limit->pg, COLUMN(struct bytes, reply(limit, i)), n);
    return pg_send(limit->pg, &sql_seen_insert, NULL, e);
}

/* Who pays whom, at random; the balances after each entry; and each account once. */
struct transfers {
    size_t *who, *once, changed;
    int64_t *after;
};

static void draw_transfers(struct limit *limit, struct transfers *ret)
{
    size_t m = limit->options->batch * 2, users = limit->options->users;
    bool *seen = arena_alloc(limit->arena, users * sizeof *seen);
    memset(seen, 0, users * sizeof *seen);
    *ret = (struct transfers){ .who = arena_alloc(limit->arena, m * sizeof *ret->who),
        .once = arena_alloc(limit->arena, m * sizeof *ret->once),
        .after = arena_alloc(limit->arena, m * sizeof *ret->after) };
    for (size_t i = 0; i < m; i++) {
        size_t user = (size_t)random() % users;
        if (i % 2 == 1 && user == ret->who[i - 1])
            user = (user + 1) % users;
        ret->who[i] = user;
        ret->after[i] = limit->available[user] += i % 2 == 0 ? -1 : 1;
        if (!seen[user])
            ret->once[ret->changed++] = user;
        seen[user] = true;
    }
}

/* Double entry and nothing else: a journal, two entries and two balances for each; a balance that several move is
 * written once. */
static bool send_transfers(struct limit *limit, struct error *e)
{
    struct transfers t;
    size_t n = limit->options->batch, m = 2 * n;
    draw_transfers(limit, &t);
    pg_arg_int64s(limit->pg, COLUMN_OF(t.changed, int64_t, limit->account_ids[t.once[i]]), t.changed);
    pg_arg_int64s(limit->pg, COLUMN_OF(t.changed, int64_t, limit->available[t.once[i]]), t.changed);
    pg_arg_int64s(limit->pg, COLUMN_OF(t.changed, int64_t, 0), t.changed);
    if (!pg_send(limit->pg, &sql_accounts_save, NULL, e))
        return false;
    pg_arg_int64s(limit->pg, COLUMN(int64_t, limit->next_id + (int64_t)i), n);
    pg_arg_int32s(limit->pg, COLUMN(int32_t, JOURNAL_TRANSFER), n);
    pg_arg_texts(limit->pg, COLUMN(const char *, reference(limit, i)), n);
    pg_arg_int64(limit->pg, limit->now_us);
    pg_arg_texts(limit->pg, COLUMN(const char *, cause(limit, i)), n);
    if (!pg_send(limit->pg, &sql_journals_insert, NULL, e))
        return false;
    pg_arg_int64s(limit->pg, COLUMN_OF(m, int64_t, 2 * limit->next_id + (int64_t)i), m);
    pg_arg_int64s(limit->pg, COLUMN_OF(m, int64_t, limit->next_id + (int64_t)i / 2), m);
    pg_arg_int64s(limit->pg, COLUMN_OF(m, int64_t, limit->account_ids[t.who[i]]), m);
    pg_arg_int32s(limit->pg, COLUMN_OF(m, int32_t, USD), m);
    pg_arg_int64s(limit->pg, COLUMN_OF(m, int64_t, i % 2 == 0 ? -1 : 1), m);
    pg_arg_int64s(limit->pg, COLUMN_OF(m, int64_t, 0), m);
    pg_arg_int64s(limit->pg, t.after, m);
    pg_arg_int64s(limit->pg, COLUMN_OF(m, int64_t, 0), m);
    return pg_send(limit->pg, &sql_entries_insert, NULL, e);
}

static bool send_placed(struct limit *limit, struct error *e)
{
    return send_ledger(limit, e) && send_orders(limit, e) && send_inbox(limit, e) &&
           outbox_write(limit->outbox, limit->pg, e);
}

static bool write_batch(struct limit *limit, struct error *e)
{
    arena_clear(limit->arena);
    limit->now_us = now_us();
    if (!pg_begin(limit->pg, e) || !(limit->options->transfers ? send_transfers : send_placed)(limit, e) ||
        !pg_commit(limit->pg, e))
        return false;
    limit->next_id += (int64_t)limit->options->batch;
    return true;
}

static void arg_accounts(struct limit *limit)
{
    size_t n = limit->options->users;
    pg_arg_int64s(limit->pg, COLUMN(int64_t, user_id(i)), n);
    pg_arg_int32s(limit->pg, COLUMN(int32_t, ACCOUNT_USER), n);
    pg_arg_int32s(limit->pg, COLUMN(int32_t, USD), n);
}

/* Makes the accounts, or finds those of an earlier run on this database; ids go on after its last. */
static bool prepare(struct limit *limit, struct error *e)
{
    static const struct pg_statement last = { "limit_last", "SELECT coalesce(max(id), 0) FROM journals" };
    CLEANUP(pg_result_free) struct pg_result *accounts = NULL;
    CLEANUP(pg_result_free) struct pg_result *highest = NULL;
    size_t n = limit->options->users;
    arg_accounts(limit);
    pg_arg_int32s(limit->pg, COLUMN(int32_t, 0), n);
    if (!pg_query(limit->pg, &sql_accounts_create, NULL, e))
        return false;
    arg_accounts(limit);
    if (!pg_query(limit->pg, &sql_accounts_lock, &accounts, e) || !pg_query(limit->pg, &last, &highest, e))
        return false;
    if (pg_rows(accounts) != n)
        return error_set(e, ERROR_FATAL, "%zu accounts, not %zu", pg_rows(accounts), n);
    limit->account_ids = xcalloc(n, sizeof *limit->account_ids);
    limit->available = xcalloc(n, sizeof *limit->available);
    limit->held = xcalloc(n, sizeof *limit->held);
    for (size_t i = 0; i < n; i++) {
        limit->account_ids[i] = pg_get_int64(accounts, i, 0);
        limit->available[i] = plenty_minor;
    }
    limit->next_id = pg_get_int64(highest, 0, 0) + 1;
    return true;
}

static void limit_release(struct limit *limit)
{
    pg_free(limit->pg);
    outbox_free(limit->outbox);
    arena_free(limit->arena);
    xfree(limit->account_ids);
    xfree(limit->available);
    xfree(limit->held);
}

static bool run(const struct options *options, struct error *e)
{
    __attribute__((cleanup(limit_release))) struct limit limit = { .options = options };
    const struct pg_options pg = { .dsn = options->dsn, .application_name = "limit_insert" };
    limit.outbox = outbox_new();
    limit.arena = arena_new();
    if (!pg_open(&pg, &limit.pg, e) || !prepare(&limit, e))
        return false;
    uint64_t orders = 0;
    int64_t started_us = monotonic_us(), until_us = started_us + (int64_t)(options->seconds * 1e6);
    for (; monotonic_us() < until_us; orders += options->batch)
        if (!write_batch(&limit, e))
            return false;
    double seconds = (double)(monotonic_us() - started_us) / 1e6;
    printf("{\"batch\":%zu,\"orders\":%" PRIu64 ",\"seconds\":%.3f,\"orders_per_second\":%.1f}\n", options->batch,
        orders, seconds, (double)orders / seconds);
    return true;
}

int main(int argc, char **argv)
{
    static const struct option names[] = { { "batch", required_argument, NULL, 'b' },
        { "transfers", no_argument, NULL, 't' }, { "users", required_argument, NULL, 'u' },
        { "seconds", required_argument, NULL, 's' }, { 0 } };
    struct options options = { .dsn = getenv("POSTGRES_URL"), .batch = 100, .users = 64, .seconds = 10 };
    bool ok = true;
    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        if (option == 'b')
            options.batch = strtoul(optarg, NULL, 10);
        else if (option == 'u')
            options.users = strtoul(optarg, NULL, 10);
        else if (option == 's')
            options.seconds = strtod(optarg, NULL);
        else if (option == 't')
            options.transfers = true;
        else
            ok = false;
    }
    if (!ok || optind != argc || !options.dsn || options.batch == 0 || options.batch > BATCH_MAX ||
        options.users < (options.transfers ? 2 : 1) || options.users > USERS_MAX || options.seconds <= 0) {
        fputs("usage: POSTGRES_URL=… limit_insert [--batch N] [--users N] [--seconds S] [--transfers]\n", stderr);
        return 2;
    }
    struct error e = { 0 };
    if (run(&options, &e))
        return 0;
    fprintf(stderr, "limit_insert: %s\n", e.message);
    return 1;
}
