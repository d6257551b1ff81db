#include "core.h"

#include <string.h>

bool stop_is_reached(const struct market *market, enum book_side_index side, int64_t stop_ticks)
{
    int64_t last_ticks = market->state.last_price_ticks;
    return last_ticks != 0 && (side == BOOK_BID ? last_ticks >= stop_ticks : last_ticks <= stop_ticks);
}

void stop_wait(struct engine *engine, struct market *market, const struct taker *taker, int64_t stop_ticks)
{
    struct book_order order = {
        .order_id = taker->order_id,
        .user_id = taker->user_id,
        .price_ticks = stop_ticks,
        .remaining_lots = taker->remaining_lots,
        .filled_lots = taker->filled_lots,
        .market = market->number,
        .side = (uint8_t)opposite(taker->side),
        .flags = (uint8_t)(flags_of(taker) | BOOK_HAS_MORE | BOOK_WAITS),
    };
    uint32_t slot = book_add(engine->memory, &market->stops, &order);
    if (slot == BOOK_NONE) {
        close_taker(engine, market, taker, ENGINE_REJECTED, ENGINE_BOOK_FULL);
        return;
    }
    keep_more(engine, market, slot, taker);
    engine->memory->more[slot].limit_ticks = taker->limit_ticks;
    if (market->waiting++ == 0)
        market->traded_high_ticks = 0;
    struct engine_opened *out =
        record_begin(engine, market, ENGINE_RECORD_OPENED, sizeof *out, side_name(taker->side), 1);
    memset(&out->status, 0, sizeof *out - offsetof(struct engine_opened, status));
    out->order_id = taker->order_id;
    out->user_id = taker->user_id;
    out->price_ticks = taker->limit_ticks;
    out->remaining_lots = taker->remaining_lots;
    out->status = ENGINE_ACCEPTED;
    out->waiting = true;
    out->filled_lots = 0;
    out->visible_lots = 0;
    record_counted(engine, market, 0, 0);
}

void record_triggered(struct engine *engine, struct market *market, const struct taker *taker, int64_t last_ticks)
{
    struct engine_triggered *out =
        record_begin(engine, market, ENGINE_RECORD_TRIGGERED, sizeof *out, side_name(taker->side), 1);
    out->order_id = taker->order_id;
    out->user_id = taker->user_id;
    out->last_price_ticks = last_ticks;
}

/* The next waiting order that the trades have reached, or BOOK_NONE: the nearest of each side, of these the older id.
 */
static uint32_t next_triggered(const struct engine *engine, const struct market *market)
{
    const struct book_side *buys = &market->stops.sides[BOOK_ASK], *sells = &market->stops.sides[BOOK_BID];
    const struct book_memory *memory = engine->memory;
    uint32_t buy = BOOK_NONE, sell = BOOK_NONE;
    if (buys->best != BOOK_NONE && buys->best_ticks <= market->traded_high_ticks)
        buy = memory->levels[buys->best].head;
    if (sells->best != BOOK_NONE && sells->best_ticks >= market->traded_low_ticks)
        sell = memory->levels[sells->best].head;
    if (buy == BOOK_NONE || sell == BOOK_NONE)
        return buy != BOOK_NONE ? buy : sell;
    return memory->orders[buy].order_id < memory->orders[sell].order_id ? buy : sell;
}

static struct taker taker_of_stop(const struct engine *engine, const struct market *market, uint32_t slot)
{
    const struct book_more *more = &engine->memory->more[slot];
    struct taker taker = taker_of(engine, market, slot);
    taker.type = more->type;
    taker.time_in_force = more->time_in_force;
    if (more->type == ENGINE_STOP && more->time_in_force != ENGINE_FOK)
        taker.time_in_force = ENGINE_IOC;
    return taker;
}

void trigger_stops(struct engine *engine, struct market *market)
{
    uint32_t slot;
    while (market->traded_high_ticks > 0 && (slot = next_triggered(engine, market)) != BOOK_NONE) {
        struct taker taker = taker_of_stop(engine, market, slot);
        expect_repeated_levels(engine);
        leave(engine, market, slot);
        record_triggered(
            engine, market, &taker, taker.side == BOOK_BID ? market->traded_high_ticks : market->traded_low_ticks);
        enter(engine, market, &taker);
    }
    market->traded_high_ticks = 0;
}
