#include "chores.h"

#include "../chassis/log.h"
#include "events.h"
#include "schedules.h"
#include "sql.h"

enum {
    KILL_SWITCHES_MAX = 1000, /* published in one transaction */
    DEAD_MEN_MAX = 500,
    EXPIRED_MAX = 500,
    TICK_AGAIN_US = 5000000, /* an order whose end has come is still open: the tick may have been before it */
};

struct chore {
    struct pg *pg;
    struct outbox *outbox;
    struct trade_ledger *service;
    int64_t now_us;
    size_t done;
};

static bool publish_markets(struct chore *chore, struct error *e)
{
    return markets_publish(chore->pg, chore->outbox, &chore->done, e);
}

/* Markets that were made a moment ago are not in the set: their rows wait for the next round. */
static bool publish_band_prices(struct chore *chore, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    int64_t ids[MARKETS_MAX];
    if (!pg_query(chore->pg, &sql_band_prices_unpublished, &rows, e))
        return false;
    const struct markets *markets = markets_get(chore->service->markets);
    for (size_t i = 0; i < pg_rows(rows) && chore->done < MARKETS_MAX; i++) {
        const struct market *market = market_by_id(markets, (int32_t)pg_get_int64(rows, i, 0));
        if (!market)
            continue;
        ids[chore->done++] = pg_get_int64(rows, i, 0);
        event_reference_price_set(chore->outbox, market, pg_get_int64(rows, i, 1), chore->now_us);
    }
    markets_put(chore->service->markets, markets);
    if (chore->done == 0)
        return true;
    pg_arg_int64s(chore->pg, ids, chore->done);
    return pg_send(chore->pg, &sql_band_prices_published, NULL, e);
}

static bool publish_kill_switches(struct chore *chore, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    int64_t users[KILL_SWITCHES_MAX];
    int32_t ids[KILL_SWITCHES_MAX];
    pg_arg_int64(chore->pg, KILL_SWITCHES_MAX);
    if (!pg_query(chore->pg, &sql_kill_switches_unpublished, &rows, e))
        return false;
    const struct markets *markets = markets_get(chore->service->markets);
    for (size_t i = 0; i < pg_rows(rows); i++) {
        const struct market *market = market_by_id(markets, (int32_t)pg_get_int64(rows, i, 1));
        if (!market)
            continue;
        users[chore->done] = pg_get_int64(rows, i, 0);
        ids[chore->done++] = market->id;
        event_kill_switch_set(
            chore->outbox, (uint64_t)pg_get_int64(rows, i, 0), market, pg_get_bool(rows, i, 2), chore->now_us);
    }
    markets_put(chore->service->markets, markets);
    if (chore->done == 0)
        return true;
    pg_arg_int64s(chore->pg, users, chore->done);
    pg_arg_int32s(chore->pg, ids, chore->done);
    return pg_send(chore->pg, &sql_kill_switches_published, NULL, e);
}

static bool write_ticks(struct chore *chore, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    pg_arg_int64(chore->pg, chore->now_us);
    pg_arg_int64(chore->pg, TICK_AGAIN_US);
    if (!pg_query(chore->pg, &sql_ticks_due, &rows, e))
        return false;
    const struct markets *markets = markets_get(chore->service->markets);
    for (size_t i = 0; i < pg_rows(rows); i++) {
        const struct market *market = market_by_id(markets, (int32_t)pg_get_int64(rows, i, 0));
        if (market)
            event_time_ticked(chore->outbox, market, chore->now_us);
    }
    markets_put(chore->service->markets, markets);
    return true;
}

static bool fire_dead_men(struct chore *chore, struct error *e)
{
    CLEANUP(arena_free) struct arena *arena = arena_new();
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    pg_arg_int64(chore->pg, chore->now_us);
    pg_arg_int64(chore->pg, DEAD_MEN_MAX);
    if (!pg_query(chore->pg, &sql_dead_man_due, &rows, e))
        return false;
    struct command *commands = arena_alloc(arena, (pg_rows(rows) + 1) * sizeof *commands);
    for (size_t i = 0; i < pg_rows(rows); i++)
        commands[i] = (struct command){ .kind = COMMAND_CANCEL_ALL,
            .user_id = (uint64_t)pg_get_int64(rows, i, 0),
            .cancel_all.symbol = "",
            .request_source = "dead-man-switch",
            .traceparent = "" };
    chore->done = pg_rows(rows);
    return commands_run(chore->pg, chore->outbox, chore->service, arena, commands, pg_rows(rows), chore->now_us, e);
}

/* Money that was set aside for a transfer nobody has posted in time goes back. */
static bool expire_transfers(struct chore *chore, struct error *e)
{
    CLEANUP(arena_free) struct arena *arena = arena_new();
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    pg_arg_int64(chore->pg, chore->now_us);
    pg_arg_int64(chore->pg, EXPIRED_MAX);
    if (!pg_query(chore->pg, &sql_pending_due, &rows, e))
        return false;
    struct command *commands = arena_alloc(arena, (pg_rows(rows) + 1) * sizeof *commands);
    for (size_t i = 0; i < pg_rows(rows); i++)
        commands[i] = (struct command){ .kind = COMMAND_TRANSFER_STEP,
            .user_id = (uint64_t)pg_get_int64(rows, i, 1),
            .by_operator = true,
            .step = { .transfer_id = pg_get_int64(rows, i, 0), .step = STEP_EXPIRE, .amount = "" },
            .request_source = "expiry",
            .traceparent = "" };
    chore->done = pg_rows(rows);
    return commands_run(chore->pg, chore->outbox, chore->service, arena, commands, pg_rows(rows), chore->now_us, e);
}

static bool make_scheduled(struct chore *chore, struct error *e)
{
    return schedules_run(chore->pg, chore->outbox, chore->service, chore->now_us, &chore->done, e);
}

/* One transaction. */
static bool run(struct chore *chore, bool (*work)(struct chore *chore, struct error *e), struct error *e)
{
    chore->done = 0;
    if (pg_begin(chore->pg, e) && work(chore, e) && outbox_write(chore->outbox, chore->pg, e) &&
        pg_commit(chore->pg, e))
        return true;
    pg_rollback(chore->pg);
    outbox_clear(chore->outbox);
    return false;
}

bool chores_run(struct pg *pg, struct outbox *outbox, struct trade_ledger *service, int64_t now_us, struct error *e)
{
    struct chore chore = { .pg = pg, .outbox = outbox, .service = service, .now_us = now_us };
    if (!run(&chore, publish_markets, e))
        return false;
    if (chore.done > 0) {
        log_info("published %zu assets and markets", chore.done);
        if (!markets_reload(service->markets, pg, e))
            return false;
    }
    if (!run(&chore, publish_band_prices, e) || !run(&chore, publish_kill_switches, e) ||
        !run(&chore, write_ticks, e) || !run(&chore, fire_dead_men, e))
        return false;
    if (chore.done > 0)
        log_info("dead man's switches of %zu users fired", chore.done);
    if (!run(&chore, expire_transfers, e))
        return false;
    if (chore.done > 0)
        log_info("%zu transfers expired", chore.done);
    if (!run(&chore, make_scheduled, e))
        return false;
    if (chore.done > 0)
        log_info("%zu scheduled transfers tried", chore.done);
    return commands_look_for_traders(pg, service, e);
}
