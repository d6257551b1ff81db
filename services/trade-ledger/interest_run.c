#include "interest_run.h"

#include "../chassis/decimal.h"
#include "../chassis/log.h"
#include "../chassis/metrics.h"
#include "interest.h"
#include "sql.h"

#include <inttypes.h>
#include <string.h>

enum {
    ACCOUNTS_AT_ONCE = 500,
    TRANSACTIONS_MAX = 20, /* of one call: others want the thread too */
    LATE_US = 60000000,    /* after midnight: who took his time of booking before it has committed by then */
};

struct round {
    struct pg *pg;
    struct outbox *outbox;
    struct trade_ledger *service;
    struct arena *arena;
    int64_t now_us;
    int32_t last_day;   /* that has ended */
    int64_t account_id; /* go on after this one */
    size_t found;
};

/* One column of what is saved. */
#define COLUMN(type, count, expression)                                                                                \
    ({                                                                                                                 \
        type *column_ = arena_alloc(round->arena, ((count) + 1) * sizeof(type));                                       \
        for (size_t i = 0; i < (count); i++)                                                                           \
            column_[i] = (expression);                                                                                 \
        column_;                                                                                                       \
    })

static bool save_days(struct round *round, const struct pg_result *due, const struct accrued *after, struct error *e)
{
    struct pg *pg = round->pg;
    size_t n = pg_rows(due);
    pg_arg_int64s(pg, COLUMN(int64_t, n, pg_get_int64(due, i, 0)), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, (int32_t)pg_get_int64(due, i, 1)), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, pg_get_int64(due, i, 6)), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, pg_get_int64(due, i, 2)), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, (int32_t)pg_get_int64(due, i, 3)), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, after[i].minor), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, after[i].remainder), n);
    return pg_query(pg, &sql_interest_save, NULL, e);
}

static bool accrue(struct round *round, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *due = NULL;
    pg_arg_int64(round->pg, round->account_id);
    pg_arg_int32(round->pg, round->last_day);
    pg_arg_int64(round->pg, ACCOUNTS_AT_ONCE);
    if (!pg_query(round->pg, &sql_interest_due, &due, e))
        return false;
    size_t n = round->found = pg_rows(due);
    struct accrued *after = arena_alloc(round->arena, (n + 1) * sizeof *after);
    for (size_t i = 0; i < n; i++) {
        after[i] = (struct accrued){ pg_get_int64(due, i, 4), pg_get_int64(due, i, 5) };
        if (!interest_day(&after[i], pg_get_int64(due, i, 6), pg_get_int64(due, i, 2),
                (enum day_count)pg_get_int64(due, i, 3), (int32_t)pg_get_int64(due, i, 1)))
            return error_set(e, ERROR_REFUSED, "the interest of account %" PRId64 " is more than a balance can be",
                pg_get_int64(due, i, 0));
    }
    if (n == 0)
        return true;
    round->account_id = pg_get_int64(due, n - 1, 0);
    metric_add(metric_counter("ledger_interest_days_total", "", "Days accrued, of all accounts"), n);
    return save_days(round, due, after, e);
}

/* The house pays, the user gets. */
static void month_command(
    struct round *round, const struct markets *markets, const struct pg_result *rows, size_t row, struct command *ret)
{
    const struct asset *asset = asset_by_id(markets, (int32_t)pg_get_int64(rows, row, 2));
    char amount[DECIMAL_TEXT_MAX];
    struct leg_request *legs = arena_alloc(round->arena, 2 * sizeof *legs);
    decimal_format(pg_get_int64(rows, row, 3), asset->scale, 0, amount);
    legs[0] = (struct leg_request){ .account = { 0, 0, ACCOUNT_HOUSE },
        .currency = arena_strdup(round->arena, asset->code),
        .amount = arena_printf(round->arena, "-%s", amount) };
    legs[1] = (struct leg_request){
        .account = { pg_get_int64(rows, row, 0), 0, 0 }, .currency = legs[0].currency, .amount = legs[0].amount + 1
    };
    *ret = (struct command){ .kind = COMMAND_JOURNAL,
        .user_id = (uint64_t)pg_get_int64(rows, row, 1),
        .by_operator = true,
        .journal = { .legs = legs,
            .leg_count = 2,
            .kind = JOURNAL_INTEREST,
            .note = arena_printf(round->arena, "interest %s", pg_get_text(rows, row, 4)) },
        .source = "interest",
        .key = arena_printf(round->arena, "%" PRId64 " %s", pg_get_int64(rows, row, 0), pg_get_text(rows, row, 4)),
        .request_source = "interest",
        .traceparent = "" };
    command_digest(ret, "interest", (struct bytes){ ret->key, strlen(ret->key) });
}

static bool book_all(struct round *round, const struct markets *markets, const struct pg_result *rows, struct error *e)
{
    size_t n = pg_rows(rows), booked = 0;
    struct command *commands = arena_alloc(round->arena, (n + 1) * sizeof *commands);
    int64_t *ids = arena_alloc(round->arena, (n + 1) * sizeof *ids);
    for (size_t i = 0; i < n; i++)
        month_command(round, markets, rows, i, &commands[i]);
    if (!commands_run(round->pg, round->outbox, round->service, round->arena, commands, n, round->now_us, e))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (commands[i].error.kind == ERROR_NONE)
            ids[booked++] = pg_get_int64(rows, i, 0);
        else
            log_error("interest waits", &commands[i].error);
    }
    metric_add(metric_counter("ledger_interest_booked_total", "", "Months of interest booked"), booked);
    pg_arg_int64s(round->pg, ids, booked);
    return pg_query(round->pg, &sql_interest_booked, NULL, e);
}

static bool book_months(struct round *round, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    pg_arg_int64(round->pg, round->account_id);
    pg_arg_int64(round->pg, ACCOUNTS_AT_ONCE);
    if (!pg_query(round->pg, &sql_interest_to_book, &rows, e))
        return false;
    round->found = pg_rows(rows);
    if (round->found == 0)
        return true;
    round->account_id = pg_get_int64(rows, round->found - 1, 0);
    const struct markets *markets = markets_get(round->service->markets);
    bool ok = book_all(round, markets, rows, e);
    markets_put(round->service->markets, markets);
    return ok;
}

/* One transaction, if it is this process's turn. */
static bool transaction(struct round *round, bool (*work)(struct round *round, struct error *e), struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *lock = NULL;
    CLEANUP(arena_free) struct arena *arena = arena_new();
    round->arena = arena;
    round->found = 0;
    if (pg_begin(round->pg, e) && pg_query(round->pg, &sql_interest_lock, &lock, e) &&
        (!pg_get_bool(lock, 0, 0) || work(round, e)) && outbox_write(round->outbox, round->pg, e) &&
        pg_commit(round->pg, e))
        return true;
    pg_rollback(round->pg);
    outbox_clear(round->outbox);
    return false;
}

bool interest_run(
    struct pg *pg, struct outbox *outbox, struct trade_ledger *service, int64_t now_us, bool *ret_more, struct error *e)
{
    struct round round = { .pg = pg,
        .outbox = outbox,
        .service = service,
        .now_us = now_us,
        .last_day = (int32_t)((now_us - LATE_US) / 86400000000) - 1 };
    int transactions = 0;
    size_t accrued = 0;
    *ret_more = true;
    do {
        if (!transaction(&round, book_months, e))
            return false;
    } while (round.found > 0 && ++transactions < TRANSACTIONS_MAX);
    round.account_id = 0;
    for (; transactions < TRANSACTIONS_MAX; transactions++) {
        if (!transaction(&round, accrue, e))
            return false;
        accrued += round.found;
        if (round.found == 0) {
            *ret_more = accrued > 0; /* the day after, or a month that is whole now */
            return true;
        }
    }
    return true;
}
