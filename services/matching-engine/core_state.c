#include "core.h"

#include <string.h>

uint16_t engine_market_count(const struct engine *engine)
{
    return engine->markets_count;
}

const struct engine_market *engine_market_get(const struct engine *engine, uint16_t market)
{
    return market < engine->markets_count ? &engine->markets[market].state : NULL;
}

uint32_t engine_orders_count(const struct engine *engine)
{
    return engine->memory->orders_live;
}

static struct engine_level_change level_state(const struct engine *engine, enum engine_side side, uint32_t slot)
{
    return (struct engine_level_change){
        .price_ticks = book_level_price(engine->memory, slot),
        .total_lots = engine->memory->levels[slot].total_lots,
        .orders = engine->memory->levels[slot].orders,
        .side = (uint8_t)side,
    };
}

void engine_each_level(const struct engine *engine, uint16_t market, enum engine_side side,
    bool (*each)(void *context, const struct engine_level_change *level), void *context)
{
    uint32_t at = engine->markets[market].book.sides[side_index(side)].best;
    for (; at != BOOK_NONE; at = book_level_after(engine->memory, side_index(side), at)) {
        struct engine_level_change level = level_state(engine, side, at);
        if (!each(context, &level))
            return;
    }
}

/* ---- Orders ---- */

static void describe(const struct book_memory *memory, uint32_t slot, struct engine_resting *ret_order)
{
    const struct book_order *order = &memory->orders[slot];
    bool waits = order->flags & BOOK_WAITS;
    *ret_order = (struct engine_resting){
        .order_id = order->order_id,
        .user_id = order->user_id,
        .price_ticks = limit_of(memory, slot),
        .filled_lots = order->filled_lots,
        .remaining_lots = order->remaining_lots + hidden_lots(memory, slot),
        .visible_lots = waits ? 0 : order->remaining_lots,
        .side = (uint8_t)side_name(trading_side(order)),
        .type = ENGINE_LIMIT,
        .time_in_force = ENGINE_GTC,
        .self_trade = self_trade_of(order),
        .waiting = waits,
    };
    if (order->flags & BOOK_POST_ONLY)
        ret_order->post_only = order->flags & BOOK_SLIDES ? ENGINE_POST_OR_SLIDE : ENGINE_POST_OR_REJECT;
    if (!(order->flags & BOOK_HAS_MORE))
        return;
    const struct book_more *more = &memory->more[slot];
    ret_order->more = (struct engine_order_more){
        .stop_price_ticks = waits ? order->price_ticks : 0,
        .display_lots = more->display_lots,
        .expires_at_us = more->expires_at_us,
        .maker_fee_ppm = more->has_fees ? more->maker_ppm : 0,
        .taker_fee_ppm = more->has_fees ? more->taker_ppm : 0,
        .has_fees = more->has_fees,
    };
    ret_order->quote_set = more->quote_set;
    if (more->expires_at_us != 0)
        ret_order->time_in_force = ENGINE_GTD;
    if (waits) {
        ret_order->type = more->type;
        ret_order->time_in_force = more->time_in_force;
    }
}

bool engine_order_find(
    const struct engine *engine, uint16_t market, uint64_t order_id, struct engine_resting *ret_order)
{
    uint32_t slot = book_find(engine->memory, order_id);
    bool is_here = slot != BOOK_NONE && engine->memory->orders[slot].market == market;
    if (is_here)
        describe(engine->memory, slot, ret_order);
    return is_here;
}

static void each_of_side(const struct book_memory *memory, const struct book *book, enum book_side_index side,
    bool (*each)(void *context, const struct engine_resting *order), void *context)
{
    for (uint32_t level = book->sides[side].best; level != BOOK_NONE; level = book_level_after(memory, side, level))
        for (uint32_t at = memory->levels[level].head; at != BOOK_NONE; at = memory->links[at].next) {
            struct engine_resting order;
            describe(memory, at, &order);
            if (!each(context, &order))
                return;
        }
}

void engine_each_order(const struct engine *engine, uint16_t market, enum engine_side side,
    bool (*each)(void *context, const struct engine_resting *order), void *context)
{
    each_of_side(engine->memory, &engine->markets[market].book, side_index(side), each, context);
}

void engine_each_waiting(const struct engine *engine, uint16_t market, enum engine_side side,
    bool (*each)(void *context, const struct engine_resting *order), void *context)
{
    each_of_side(engine->memory, &engine->markets[market].stops, opposite(side_index(side)), each, context);
}

/* By id without a copy to sort: the smallest above the last, again and again. Few users are blocked at a time. */
void engine_each_killed(
    const struct engine *engine, uint16_t market, bool (*each)(void *context, uint64_t user_id), void *context)
{
    uint64_t last = 0;
    for (uint32_t left = engine->markets[market].killed; left > 0; left--) {
        uint64_t next = UINT64_MAX;
        for (uint32_t at = 0; at <= engine->killed_mask; at++) {
            const struct killed *killed = &engine->killed[at];
            if (killed->user_id > last && killed->user_id < next && killed->market == market)
                next = killed->user_id;
        }
        if (!each(context, next))
            return;
        last = next;
    }
}

bool engine_best(
    const struct engine *engine, uint16_t market, enum engine_side side, struct engine_level_change *ret_level)
{
    uint32_t best = engine->markets[market].book.sides[side_index(side)].best;
    if (best != BOOK_NONE)
        *ret_level = level_state(engine, side, best);
    return best != BOOK_NONE;
}

bool engine_depth_at(const struct engine *engine, uint16_t market, enum engine_side side, int64_t price_ticks,
    struct engine_level_change *ret_level)
{
    const struct book *book = &engine->markets[market].book;
    uint32_t slot = price_ticks > 0 ? book_level_at(engine->memory, book, side_index(side), price_ticks) : BOOK_NONE;
    if (slot != BOOK_NONE)
        *ret_level = level_state(engine, side, slot);
    return slot != BOOK_NONE;
}

enum engine_verdict engine_restore_market(struct engine *engine, const struct engine_market *market)
{
    uint16_t number;
    if (!memchr(market->config.symbol, '\0', ENGINE_SYMBOL_MAX) ||
        engine_market_find(engine, market->config.symbol) != ENGINE_NO_MARKET)
        return ENGINE_BAD_CONFIG;
    enum engine_verdict verdict = engine_configure(engine, &market->config, &number);
    if (verdict == ENGINE_OK) {
        engine->markets[number].state = *market;
        market_look(&engine->markets[number]);
    }
    return verdict;
}

static bool is_between(int64_t value, int64_t first, int64_t last)
{
    return value >= first && value <= last;
}

static enum engine_verdict judge_resting(const struct engine *engine, const struct engine_resting *order)
{
    const struct engine_order_more *more = &order->more;
    bool gtd = more->expires_at_us != 0;
    if (order->order_id == 0 || book_find(engine->memory, order->order_id) != BOOK_NONE)
        return ENGINE_DUPLICATE_ORDER;
    if (order->user_id == 0)
        return ENGINE_BAD_USER_ID;
    if (!is_between(order->side, ENGINE_BUY, ENGINE_SELL))
        return ENGINE_BAD_SIDE;
    if (order->waiting ? !is_between(order->type, ENGINE_STOP, ENGINE_STOP_LIMIT) : order->type != ENGINE_LIMIT)
        return ENGINE_BAD_TYPE;
    if (!is_between(order->time_in_force, ENGINE_GTC, ENGINE_GTD) || gtd != (order->time_in_force == ENGINE_GTD) ||
        (!order->waiting && !gtd && order->time_in_force != ENGINE_GTC))
        return ENGINE_BAD_TIME_IN_FORCE;
    if (order->post_only > ENGINE_POST_OR_SLIDE)
        return ENGINE_BAD_POST_ONLY;
    if (order->self_trade > ENGINE_DECREMENT)
        return ENGINE_BAD_SELF_TRADE;
    if (order->price_ticks <= 0)
        return ENGINE_BAD_PRICE;
    if (order->waiting ? more->stop_price_ticks <= 0 : more->stop_price_ticks != 0)
        return ENGINE_BAD_STOP_PRICE;
    if (more->display_lots < 0)
        return ENGINE_BAD_DISPLAY;
    if (more->maker_fee_ppm > PPM || more->taker_fee_ppm > PPM)
        return ENGINE_BAD_FEES;
    return more->expires_at_us < 0 ? ENGINE_BAD_EXPIRY : ENGINE_OK;
}

static bool lots_are_sound(const struct engine_market_config *config, const struct engine_resting *order)
{
    int64_t minor;
    if (order->remaining_lots <= 0 || order->filled_lots < 0 || order->filled_lots > INT64_MAX - order->remaining_lots)
        return false;
    if (order->side == ENGINE_SELL)
        return !__builtin_mul_overflow(order->remaining_lots, config->lot_minor, &minor);
    return !__builtin_mul_overflow(order->remaining_lots, order->price_ticks, &minor) &&
           !__builtin_mul_overflow(minor, config->notional_unit_minor, &minor);
}

/* What shows is the whole, or of an iceberg at most its part. */
static bool visible_is_sound(const struct engine_resting *order)
{
    int64_t most_lots = order->remaining_lots;
    if (order->waiting)
        return order->visible_lots == 0;
    if (order->more.display_lots == 0)
        return order->visible_lots == most_lots;
    if (order->more.display_lots < most_lots)
        most_lots = order->more.display_lots;
    return is_between(order->visible_lots, 1, most_lots);
}

static struct taker taker_from(const struct market *market, const struct engine_resting *order)
{
    const struct engine_order_more *more = &order->more;
    return (struct taker){
        .order_id = order->order_id,
        .user_id = order->user_id,
        .limit_ticks = order->price_ticks,
        .filled_lots = order->filled_lots,
        .remaining_lots = order->remaining_lots,
        .display_lots = more->display_lots,
        .expires_at_us = more->expires_at_us,
        .maker_ppm = more->has_fees ? more->maker_fee_ppm : 0,
        .taker_ppm = more->has_fees ? more->taker_fee_ppm : market->state.config.taker_fee_ppm,
        .quote_set = order->quote_set,
        .side = (uint8_t)side_index((enum engine_side)order->side),
        .type = order->type,
        .time_in_force = order->time_in_force,
        .post_only = order->post_only,
        .self_trade = order->self_trade,
        .has_fees = more->has_fees,
    };
}

static enum engine_verdict restore_taker(
    struct engine *engine, struct market *market, const struct taker *taker, const struct engine_resting *order)
{
    struct book_order resting = {
        .order_id = order->order_id,
        .user_id = order->user_id,
        .price_ticks = order->waiting ? order->more.stop_price_ticks : order->price_ticks,
        .remaining_lots = order->waiting ? order->remaining_lots : order->visible_lots,
        .filled_lots = order->filled_lots,
        .market = market->number,
        .side = order->waiting ? (uint8_t)opposite(taker->side) : taker->side,
        .flags = (uint8_t)(flags_of(taker) | (order->waiting ? BOOK_HAS_MORE | BOOK_WAITS : 0)),
    };
    uint32_t slot = book_add(engine->memory, order->waiting ? &market->stops : &market->book, &resting);
    if (slot == BOOK_NONE)
        return ENGINE_TOO_MANY_MARKETS;
    if (!(resting.flags & BOOK_HAS_MORE))
        return ENGINE_OK;
    keep_more(engine, market, slot, taker);
    if (order->waiting) {
        engine->memory->more[slot].limit_ticks = order->price_ticks;
        market->waiting++;
    } else
        engine->memory->more[slot].hidden_lots = order->remaining_lots - order->visible_lots;
    return ENGINE_OK;
}

enum engine_verdict engine_restore_order(struct engine *engine, uint16_t number, const struct engine_resting *order)
{
    if (number >= engine->markets_count)
        return ENGINE_BAD_MARKET;
    struct market *market = &engine->markets[number];
    enum engine_verdict verdict = judge_resting(engine, order);
    if (verdict != ENGINE_OK)
        return verdict;
    if (!lots_are_sound(&market->state.config, order) || !visible_is_sound(order))
        return ENGINE_BAD_QUANTITY;
    struct taker taker = taker_from(market, order);
    if (!order->waiting && market->state.config.status == ENGINE_OPEN &&
        would_cross(market, taker.side, taker.limit_ticks))
        return ENGINE_BAD_PRICE;
    return restore_taker(engine, market, &taker, order);
}

enum engine_verdict engine_restore_killed(struct engine *engine, uint16_t number, uint64_t user_id)
{
    if (number >= engine->markets_count)
        return ENGINE_BAD_MARKET;
    return user_id == 0 ? ENGINE_BAD_USER_ID : set_kill_switch(engine, &engine->markets[number], user_id, true);
}

/* ---- Checks ---- */

static uint32_t count_side(const struct engine *engine, const struct book *book, enum book_side_index side)
{
    uint32_t orders = 0;
    for (uint32_t level = book->sides[side].best; level != BOOK_NONE;
         level = book_level_after(engine->memory, side, level))
        orders += engine->memory->levels[level].orders;
    return orders;
}

void engine_check(const struct engine *engine)
{
    uint32_t orders = 0;
    for (uint16_t number = 0; number < engine->markets_count; number++) {
        const struct market *market = &engine->markets[number];
        book_check(engine->memory, &market->book);
        book_check(engine->memory, &market->stops);
        uint32_t waiting = count_side(engine, &market->stops, BOOK_BID) + count_side(engine, &market->stops, BOOK_ASK);
        assert(waiting == market->waiting);
        assert(market->state.config.status != ENGINE_OPEN || !is_crossed(market));
        orders += waiting + count_side(engine, &market->book, BOOK_BID) + count_side(engine, &market->book, BOOK_ASK);
    }
    assert(orders == engine->memory->orders_live);
    assert(engine->postings_pending == 0 && engine->levels_pending == 0 && engine->orders_pending == 0);
}
