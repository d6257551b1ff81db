#include "core.h"

#include <string.h>

static bool is_resting_here(const struct engine *engine, const struct market *market, uint32_t slot)
{
    return slot != BOOK_NONE && engine->memory->orders[slot].market == market->number;
}

enum engine_verdict judge_amend(
    const struct engine *engine, const struct market *market, const struct engine_command *amend)
{
    const struct engine_market_config *config = &market->state.config;
    int64_t notional_minor, base_minor;
    if (amend->order_id == 0)
        return ENGINE_BAD_ORDER_ID;
    if (amend->user_id == 0)
        return ENGINE_BAD_USER_ID;
    if (amend->amend_id == 0)
        return ENGINE_BAD_AMEND_ID;
    if (amend->price_ticks <= 0)
        return ENGINE_BAD_PRICE;
    if (amend->quantity_lots <= 0)
        return ENGINE_BAD_QUANTITY;
    if (amend->hold_minor < 0 || __builtin_mul_overflow(amend->price_ticks, amend->quantity_lots, &notional_minor) ||
        __builtin_mul_overflow(notional_minor, config->notional_unit_minor, &notional_minor) ||
        __builtin_mul_overflow(amend->quantity_lots, config->lot_minor, &base_minor))
        return ENGINE_BAD_HOLD;
    uint32_t slot = book_find(engine->memory, amend->order_id);
    if (is_resting_here(engine, market, slot)) {
        enum engine_side side = side_name(trading_side(&engine->memory->orders[slot]));
        return amend->side == 0 || amend->side == side ? ENGINE_OK : ENGINE_BAD_SIDE;
    }
    bool side_is_known = amend->side == ENGINE_BUY || amend->side == ENGINE_SELL;
    return side_is_known || (amend->side == 0 && amend->hold_minor == 0) ? ENGINE_OK : ENGINE_BAD_SIDE;
}

struct taker taker_of(const struct engine *engine, const struct market *market, uint32_t slot)
{
    const struct book_order *order = &engine->memory->orders[slot];
    struct taker taker = {
        .order_id = order->order_id,
        .user_id = order->user_id,
        .limit_ticks = limit_of(engine->memory, slot),
        .filled_lots = order->filled_lots,
        .remaining_lots = order->remaining_lots + hidden_lots(engine->memory, slot),
        .taker_ppm = market->state.config.taker_fee_ppm,
        .side = (uint8_t)trading_side(order),
        .type = ENGINE_LIMIT,
        .time_in_force = ENGINE_GTC,
        .self_trade = self_trade_of(order),
    };
    if (order->flags & BOOK_POST_ONLY)
        taker.post_only = order->flags & BOOK_SLIDES ? ENGINE_POST_OR_SLIDE : ENGINE_POST_OR_REJECT;
    if (order->flags & BOOK_HAS_MORE) {
        const struct book_more *more = &engine->memory->more[slot];
        taker.display_lots = more->display_lots;
        taker.expires_at_us = more->expires_at_us;
        taker.quote_set = more->quote_set;
        taker.has_fees = more->has_fees;
        taker.maker_ppm = more->maker_ppm;
        if (more->has_fees)
            taker.taker_ppm = more->taker_ppm;
        if (more->expires_at_us != 0)
            taker.time_in_force = ENGINE_GTD;
    }
    return taker;
}

/* What the amendment frees: what is held and the extra hold, less what the order needs as amended. < 0: not covered. */
static __int128 freed_minor(
    const struct engine *engine, const struct market *market, uint32_t slot, const struct engine_command *amend)
{
    const struct engine_market_config *config = &market->state.config;
    const struct book_order *order = &engine->memory->orders[slot];
    enum book_side_index side = trading_side(order);
    int64_t remaining_lots = order->remaining_lots + hidden_lots(engine->memory, slot);
    __int128 held_minor = hold_of(config, side, limit_of(engine->memory, slot), remaining_lots);
    int64_t needed_minor = hold_of(config, side, amend->price_ticks, amend->quantity_lots - order->filled_lots);
    return held_minor + amend->hold_minor - needed_minor;
}

static bool status_admits_amend(uint8_t status, const struct book_order *order)
{
    return status == ENGINE_OPEN || (status == ENGINE_AUCTION && !(order->flags & BOOK_POST_ONLY));
}

/* 0: it can be done. */
static enum engine_amend_problem problem_of(
    const struct engine *engine, const struct market *market, uint32_t slot, const struct engine_command *amend)
{
    const struct book_order *order = &engine->memory->orders[slot];
    if (!is_resting_here(engine, market, slot))
        return ENGINE_AMEND_NOT_OPEN;
    if (order->user_id != amend->user_id)
        return ENGINE_AMEND_FOREIGN;
    if (!status_admits_amend(market->state.config.status, order))
        return ENGINE_AMEND_MARKET_CLOSED;
    if (is_killed(engine, market, amend->user_id))
        return ENGINE_AMEND_KILLED;
    if (amend->quantity_lots <= order->filled_lots)
        return ENGINE_AMEND_ALREADY_FILLED;
    bool waits = order->flags & BOOK_WAITS;
    bool has_own_price = !waits || engine->memory->more[slot].type == ENGINE_STOP_LIMIT;
    if (!market->is_plain) {
        enum engine_reason reason = beyond_limits(market, amend->price_ticks, amend->quantity_lots, has_own_price);
        if (reason != 0)
            return reason == ENGINE_LIMITS ? ENGINE_AMEND_LIMITS : ENGINE_AMEND_PRICE_BAND;
    }
    __int128 freed = freed_minor(engine, market, slot, amend);
    if (freed < 0 || freed > INT64_MAX)
        return ENGINE_AMEND_UNCOVERED;
    if (!waits && (order->flags & (BOOK_POST_ONLY | BOOK_SLIDES)) == BOOK_POST_ONLY &&
        market->state.config.status == ENGINE_OPEN && would_cross(market, order->side, amend->price_ticks))
        return ENGINE_AMEND_WOULD_CROSS;
    return 0;
}

static void reject_amend(struct engine *engine, struct market *market, uint32_t slot,
    const struct engine_command *amend, enum engine_amend_problem problem)
{
    const struct book_order *order = &engine->memory->orders[slot];
    bool is_users = problem != ENGINE_AMEND_NOT_OPEN && problem != ENGINE_AMEND_FOREIGN;
    enum engine_side side = is_users ? side_name(trading_side(order)) : (enum engine_side)amend->side;
    struct engine_amend_rejected *out =
        record_begin(engine, market, ENGINE_RECORD_AMEND_REJECTED, sizeof *out, side, 1);
    memset(&out->status, 0, sizeof *out - offsetof(struct engine_amend_rejected, status));
    out->order_id = amend->order_id;
    out->user_id = amend->user_id;
    out->amend_id = amend->amend_id;
    out->released_minor = amend->hold_minor;
    out->problem = (uint8_t)problem;
    out->filled_lots = 0;
    out->remaining_lots = 0;
    if (is_users) {
        out->filled_lots = order->filled_lots;
        out->remaining_lots = order->remaining_lots + hidden_lots(engine->memory, slot);
        out->status = (uint8_t)open_status(order->filled_lots);
    }
    record_counted(engine, market, 1, 0);
}

static void record_amended(struct engine *engine, struct market *market, const struct taker *after,
    const struct engine_command *amend, int64_t released_minor, int64_t visible_lots, bool kept_priority, bool in_book)
{
    struct engine_amended *out =
        record_begin(engine, market, ENGINE_RECORD_AMENDED, sizeof *out, side_name(after->side), 1);
    memset(&out->status, 0, sizeof *out - offsetof(struct engine_amended, status));
    out->order_id = after->order_id;
    out->user_id = after->user_id;
    out->amend_id = amend->amend_id;
    out->price_ticks = amend->price_ticks;
    out->quantity_lots = amend->quantity_lots;
    out->filled_lots = after->filled_lots;
    out->remaining_lots = after->remaining_lots;
    out->visible_lots = visible_lots;
    out->released_minor = released_minor;
    out->status = (uint8_t)open_status(after->filled_lots);
    out->kept_priority = kept_priority;
    out->in_book = in_book;
    record_counted(engine, market, 1, in_book);
}

/* In place: fewer lots, hidden ones first; a waiting order also takes more lots and another limit. */
static void amend_in_place(struct engine *engine, struct market *market, uint32_t slot, const struct taker *after,
    const struct engine_command *amend, int64_t released_minor)
{
    struct book_memory *memory = engine->memory;
    struct book_order *order = &memory->orders[slot];
    bool waits = order->flags & BOOK_WAITS;
    int64_t hidden = hidden_lots(memory, slot);
    int64_t fewer_lots = order->remaining_lots + hidden - after->remaining_lots;
    int64_t from_hidden = fewer_lots < hidden ? fewer_lots : hidden;
    if (waits)
        memory->more[slot].limit_ticks = amend->price_ticks;
    else if (from_hidden > 0)
        memory->more[slot].hidden_lots -= from_hidden;
    if (from_hidden < 0)
        from_hidden = 0;
    book_shrink(memory, slot, fewer_lots - from_hidden);
    record_amended(engine, market, after, amend, released_minor, waits ? 0 : order->remaining_lots, true, !waits);
    if (!waits && fewer_lots > from_hidden)
        note_level(engine, market, order->side, order->price_ticks, &memory->levels[order->level]);
}

/* Out of the book and in again as a new order. */
static void amend_anew(struct engine *engine, struct market *market, uint32_t slot, struct taker *after,
    const struct engine_command *amend, int64_t released_minor)
{
    const struct book_order *order = &engine->memory->orders[slot];
    const struct book_level *level = &engine->memory->levels[order->level];
    int64_t old_ticks = order->price_ticks;
    if (old_ticks == after->limit_ticks)
        expect_repeated_levels(engine);
    record_amended(engine, market, after, amend, released_minor, 0, false, true);
    leave(engine, market, slot);
    note_level(engine, market, after->side, old_ticks, level);
    enter(engine, market, after);
}

void amend_order(struct engine *engine, struct market *market, const struct engine_command *amend)
{
    uint32_t slot = book_find(engine->memory, amend->order_id);
    enum engine_amend_problem problem = problem_of(engine, market, slot, amend);
    if (problem != 0) {
        reject_amend(engine, market, slot, amend, problem);
        return;
    }
    const struct book_order *order = &engine->memory->orders[slot];
    int64_t released_minor = (int64_t)freed_minor(engine, market, slot, amend);
    struct taker after = taker_of(engine, market, slot);
    int64_t quantity_lots = after.filled_lots + after.remaining_lots;
    bool keeps_place =
        order->flags & BOOK_WAITS || (amend->price_ticks == order->price_ticks && amend->quantity_lots < quantity_lots);
    after.limit_ticks = amend->price_ticks;
    after.remaining_lots = amend->quantity_lots - after.filled_lots;
    if (keeps_place)
        amend_in_place(engine, market, slot, &after, amend, released_minor);
    else
        amend_anew(engine, market, slot, &after, amend, released_minor);
}
