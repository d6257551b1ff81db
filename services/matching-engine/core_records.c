#include "core.h"

#include <string.h>

static_assert((int)GROUP_SIZE_MAX <= (int)ENGINE_BUFFER_MIN, "the longest record fits the smallest buffer");
static_assert(sizeof(struct engine_fill) % 8 == 0 && sizeof(struct engine_opened) % 8 == 0 &&
                  sizeof(struct engine_closed) % 8 == 0 && sizeof(struct engine_cancel_rejected) % 8 == 0 &&
                  sizeof(struct engine_triggered) % 8 == 0 && sizeof(struct engine_amended) % 8 == 0 &&
                  sizeof(struct engine_amend_rejected) % 8 == 0 && sizeof(struct engine_group) % 8 == 0 &&
                  sizeof(struct engine_level_change) % 8 == 0,
    "records stay aligned");

void engine_flush(struct engine *engine)
{
    if (engine->buffer_used > 0 && engine->drain)
        engine->drain(engine->context, (const struct engine_record *)(const void *)engine->buffer, engine->buffer_used);
    engine->buffer_used = 0;
}

/* Fields are written and copied one by one here and in the other hot paths: a wide copy of what was just stored in
 * pieces waits until all earlier stores have left the core, and with a deep book these wait for memory. */

void record_group(struct engine *engine, struct market *market, bool with_levels, bool last)
{
    struct engine_market *state = &market->state;
    uint32_t postings = engine->postings_pending, orders = engine->orders_pending;
    uint32_t levels = with_levels ? engine->levels_pending : 0;
    if ((postings | levels | orders) == 0)
        return;
    /* Without branches: which parts there are is as random as the flow. */
    bool has_postings = postings > 0, has_levels = levels > 0, has_orders = orders > 0;
    unsigned parts = (unsigned)has_postings + has_levels + has_orders;
    size_t changes_size = levels * sizeof *engine->levels;
    struct engine_group *out = record_begin(engine, market, ENGINE_RECORD_GROUP, sizeof *out + changes_size, 0, parts);
    out->posting_seq = (state->posting_seq += has_postings) & -(uint64_t)has_postings;
    out->book_seq = (state->book_seq += has_levels) & -(uint64_t)has_levels;
    out->orders_seq = (state->orders_seq += has_orders) & -(uint64_t)has_orders;
    out->postings = postings;
    out->levels = levels;
    out->orders = orders;
    out->last = last;
    for (uint32_t i = 0; i < levels; i++) {
        out->changes[i].price_ticks = engine->levels[i].price_ticks;
        out->changes[i].total_lots = engine->levels[i].total_lots;
        out->changes[i].orders = engine->levels[i].orders;
        out->changes[i].side = engine->levels[i].side;
        memset(out->changes[i].zero, 0, sizeof out->changes[i].zero);
    }
    engine->postings_pending = engine->orders_pending = 0;
    engine->levels_pending -= levels;
}

void expect_two_orders(struct engine *engine, struct market *market)
{
    if (engine->orders_pending == ENGINE_ORDERS_MAX - 1)
        record_group(engine, market, false, false);
}

/* ---- Levels of the group ---- */

/* Of a level among those touched by this command, or the empty place where it goes. */
static uint32_t touched_place(const struct engine *engine, uint32_t side, int64_t price_ticks)
{
    uint32_t at = (uint32_t)(((uint64_t)price_ticks * 2 + side) * 0x9e3779b97f4a7c15u >> 32) & (TOUCHED_SIZE - 1);
    while (engine->touched[at].epoch == engine->touched_epoch) {
        const struct engine_level_change *change = &engine->levels[engine->touched[at].index];
        if (change->price_ticks == price_ticks && change->side == side)
            break;
        at = (at + 1) & (TOUCHED_SIZE - 1);
    }
    return at;
}

static void touched_clear(struct engine *engine)
{
    engine->touched_indexed = 0;
    if (++engine->touched_epoch == 0) {
        memset(engine->touched, 0, sizeof engine->touched);
        engine->touched_epoch = 1;
    }
}

static void touched_index(struct engine *engine)
{
    for (; engine->touched_indexed < engine->levels_pending; engine->touched_indexed++) {
        const struct engine_level_change *change = &engine->levels[engine->touched_indexed];
        uint32_t at = touched_place(engine, change->side, change->price_ticks);
        engine->touched[at].epoch = engine->touched_epoch;
        engine->touched[at].index = engine->touched_indexed;
    }
}

void expect_repeated_levels(struct engine *engine)
{
    if (engine->may_repeat_levels)
        return;
    engine->may_repeat_levels = true;
    touched_clear(engine);
}

void note_repeated_level(struct engine *engine, struct market *market, enum book_side_index side, int64_t price_ticks,
    const struct book_level *level)
{
    touched_index(engine);
    uint32_t at = touched_place(engine, side_name(side), price_ticks);
    bool is_new = engine->touched[at].epoch != engine->touched_epoch;
    uint32_t index = is_new ? engine->levels_pending : engine->touched[at].index;
    level_change_set(&engine->levels[index], side, price_ticks, level);
    engine->levels_pending += is_new;
    if (engine->levels_pending == ENGINE_LEVELS_MAX)
        levels_are_many(engine, market);
}

void levels_are_many(struct engine *engine, struct market *market)
{
    record_group(engine, market, true, false);
    touched_clear(engine);
}

void command_end(struct engine *engine, struct market *market)
{
    if (market->waiting > 0 && market->traded_high_ticks > 0)
        trigger_stops(engine, market);
    record_group(engine, market, true, true);
    engine->may_repeat_levels = false;
}
