#include "core.h"

#include <string.h>

/* ---- Judging: is it an order at all? Nothing changes. ---- */

static inline bool in_range(uint8_t value, uint8_t first, uint8_t last)
{
    return value >= first && value <= last;
}

static bool hold_is_exact(const struct engine_market_config *config, const struct engine_command *order)
{
    int64_t notional_minor, base_minor;
    if (__builtin_mul_overflow(order->price_ticks, order->quantity_lots, &notional_minor) ||
        __builtin_mul_overflow(notional_minor, config->notional_unit_minor, &notional_minor) ||
        __builtin_mul_overflow(order->quantity_lots, config->lot_minor, &base_minor))
        return false;
    return order->hold_minor == (order->side == ENGINE_BUY ? notional_minor : base_minor);
}

static enum engine_verdict judge_quote_amount(
    const struct engine_market_config *config, const struct engine_command *order)
{
    int64_t base_minor;
    if (order->type != ENGINE_MARKET || order->more->quote_minor < 0)
        return ENGINE_BAD_QUOTE_AMOUNT;
    if (order->side == ENGINE_BUY) {
        if (order->quantity_lots != 0)
            return ENGINE_BAD_QUANTITY;
        return order->hold_minor == order->more->quote_minor ? ENGINE_OK : ENGINE_BAD_HOLD;
    }
    if (order->quantity_lots <= 0)
        return ENGINE_BAD_QUANTITY;
    bool fits = !__builtin_mul_overflow(order->quantity_lots, config->lot_minor, &base_minor);
    return fits && order->hold_minor == base_minor ? ENGINE_OK : ENGINE_BAD_HOLD;
}

static bool is_stop(uint8_t type)
{
    return type == ENGINE_STOP || type == ENGINE_STOP_LIMIT;
}

static enum engine_verdict judge_more(const struct engine_market_config *config, const struct engine_command *order)
{
    static const struct engine_order_more none;
    const struct engine_order_more *more = order->more ? order->more : &none;
    if (is_stop(order->type) ? more->stop_price_ticks <= 0 : more->stop_price_ticks != 0)
        return ENGINE_BAD_STOP_PRICE;
    if (order->time_in_force == ENGINE_GTD ? more->expires_at_us <= 0 : more->expires_at_us != 0)
        return ENGINE_BAD_EXPIRY;
    if (more->maker_fee_ppm > PPM || more->taker_fee_ppm > PPM)
        return ENGINE_BAD_FEES;
    if (more->quote_minor != 0)
        return more->display_lots == 0 ? judge_quote_amount(config, order) : ENGINE_BAD_DISPLAY;
    if (order->quantity_lots <= 0)
        return ENGINE_BAD_QUANTITY;
    if (more->display_lots < 0 || more->display_lots > order->quantity_lots)
        return ENGINE_BAD_DISPLAY;
    return hold_is_exact(config, order) ? ENGINE_OK : ENGINE_BAD_HOLD;
}

enum engine_verdict judge_order(
    const struct engine *engine, const struct market *market, const struct engine_command *order)
{
    if (order->order_id == 0)
        return ENGINE_BAD_ORDER_ID;
    if (order->user_id == 0)
        return ENGINE_BAD_USER_ID;
    if (!in_range(order->side, ENGINE_BUY, ENGINE_SELL))
        return ENGINE_BAD_SIDE;
    if (!in_range(order->type, ENGINE_LIMIT, ENGINE_STOP_LIMIT))
        return ENGINE_BAD_TYPE;
    if (!in_range(order->time_in_force, ENGINE_GTC, ENGINE_GTD))
        return ENGINE_BAD_TIME_IN_FORCE;
    if (order->post_only > ENGINE_POST_OR_SLIDE)
        return ENGINE_BAD_POST_ONLY;
    if (order->self_trade > ENGINE_DECREMENT)
        return ENGINE_BAD_SELF_TRADE;
    if (order->price_ticks <= 0)
        return ENGINE_BAD_PRICE;
    if (order->more || is_stop(order->type) || order->time_in_force == ENGINE_GTD) {
        enum engine_verdict verdict = judge_more(&market->state.config, order);
        if (verdict != ENGINE_OK)
            return verdict;
    } else if (order->quantity_lots <= 0)
        return ENGINE_BAD_QUANTITY;
    else if (!hold_is_exact(&market->state.config, order))
        return ENGINE_BAD_HOLD;
    if (book_find(engine->memory, order->order_id) != BOOK_NONE)
        return ENGINE_DUPLICATE_ORDER;
    return ENGINE_OK;
}

/* ---- Refusals: an order, but not one for this market now ---- */

/* Combinations that mean something and are carried out to the letter. */
static bool is_supported(const struct engine_command *order)
{
    bool at_once = order->time_in_force == ENGINE_IOC || order->time_in_force == ENGINE_FOK;
    bool is_limit = order->type == ENGINE_LIMIT || order->type == ENGINE_STOP_LIMIT;
    if (order->type == ENGINE_MARKET && !at_once)
        return false;
    if (order->post_only != ENGINE_MAY_TAKE && (at_once || !is_limit))
        return false;
    return !order->more || order->more->display_lots == 0 || (is_limit && !at_once);
}

static bool is_multiple(int64_t value, int64_t step)
{
    return step <= 1 || value % step == 0;
}

static bool price_is_within(const struct engine_market_config *config, int64_t price_ticks)
{
    return price_ticks >= config->min_price_ticks &&
           (config->max_price_ticks == 0 || price_ticks <= config->max_price_ticks) &&
           is_multiple(price_ticks, config->price_step_ticks);
}

static bool is_within_band(const struct engine_market *state, int64_t price_ticks)
{
    if (state->config.price_band_ppm == 0 || state->reference_price_ticks == 0)
        return true;
    __int128 distance = (__int128)price_ticks - state->reference_price_ticks;
    __int128 allowed = (__int128)state->reference_price_ticks * state->config.price_band_ppm;
    return (distance < 0 ? -distance : distance) * PPM <= allowed;
}

enum engine_reason beyond_limits(
    const struct market *market, int64_t price_ticks, int64_t quantity_lots, bool has_own_price)
{
    const struct engine_market_config *config = &market->state.config;
    if (quantity_lots > 0 && (quantity_lots < config->min_quantity_lots ||
                                 (config->max_quantity_lots != 0 && quantity_lots > config->max_quantity_lots) ||
                                 !is_multiple(quantity_lots, config->quantity_step_lots)))
        return ENGINE_LIMITS;
    if (has_own_price) {
        int64_t notional_minor = price_ticks * quantity_lots * config->notional_unit_minor;
        if (!price_is_within(config, price_ticks) || notional_minor < config->min_notional_minor ||
            (config->max_notional_minor != 0 && notional_minor > config->max_notional_minor))
            return ENGINE_LIMITS;
    }
    return is_within_band(&market->state, price_ticks) ? 0 : ENGINE_PRICE_BAND;
}

static bool status_admits(uint8_t status, const struct engine_command *order)
{
    bool can_rest = order->time_in_force == ENGINE_GTC || order->time_in_force == ENGINE_GTD;
    return status == ENGINE_OPEN ||
           (status == ENGINE_AUCTION && order->type == ENGINE_LIMIT && can_rest && order->post_only == ENGINE_MAY_TAKE);
}

/* Why the order is refused before it meets the book, or 0. */
static enum engine_reason refusal(
    const struct engine *engine, const struct market *market, const struct engine_command *order)
{
    const struct engine_market_config *config = &market->state.config;
    bool is_limit = order->type == ENGINE_LIMIT || order->type == ENGINE_STOP_LIMIT;
    if (!is_supported(order))
        return ENGINE_UNSUPPORTED;
    if (market->is_plain)
        return 0;
    if (!status_admits(config->status, order))
        return ENGINE_MARKET_CLOSED;
    if (is_killed(engine, market, order->user_id))
        return ENGINE_KILLED;
    if (is_stop(order->type) && !price_is_within(config, order->more->stop_price_ticks))
        return ENGINE_LIMITS;
    return beyond_limits(market, order->price_ticks, order->quantity_lots, is_limit);
}

/* ---- Entering ---- */

void close_taker(struct engine *engine, struct market *market, const struct taker *taker, enum engine_status status,
    enum engine_reason reason)
{
    bool spends = taker->by_quote && taker->side == BOOK_BID;
    struct engine_closed *out =
        record_begin(engine, market, ENGINE_RECORD_CLOSED, sizeof *out, side_name(taker->side), 1);
    memset(&out->status, 0, sizeof *out - offsetof(struct engine_closed, status));
    out->order_id = taker->order_id;
    out->user_id = taker->user_id;
    out->price_ticks = taker->limit_ticks;
    out->filled_lots = taker->filled_lots;
    out->remaining_lots = taker->remaining_lots;
    out->released_minor = spends
                              ? taker->quote_minor
                              : hold_of(&market->state.config, taker->side, taker->limit_ticks, taker->remaining_lots);
    out->status = (uint8_t)status;
    out->reason = (uint8_t)reason;
    record_counted(engine, market, 1, 0);
}

uint8_t flags_of(const struct taker *taker)
{
    static const uint8_t post_flags[] = { 0, BOOK_POST_ONLY, BOOK_POST_ONLY | BOOK_SLIDES };
    unsigned mode = (unsigned)taker->self_trade - (taker->self_trade != ENGINE_SELF_TRADE_DEFAULT);
    bool has_more = taker->has_fees || (taker->display_lots | taker->expires_at_us | taker->quote_set) != 0;
    return (uint8_t)(mode << BOOK_SELF_TRADE_SHIFT | post_flags[taker->post_only] | (has_more ? BOOK_HAS_MORE : 0));
}

void keep_more(struct engine *engine, struct market *market, uint32_t slot, const struct taker *taker)
{
    engine->memory->more[slot] = (struct book_more){
        .display_lots = taker->display_lots,
        .expires_at_us = taker->expires_at_us,
        .maker_ppm = taker->maker_ppm,
        .taker_ppm = taker->taker_ppm,
        .quote_set = taker->quote_set,
        .type = taker->type,
        .time_in_force = taker->time_in_force,
        .has_fees = taker->has_fees,
    };
    if (taker->expires_at_us != 0)
        expiry_add(engine->memory, market, slot);
    if (taker->quote_set != 0)
        quote_link(engine, slot);
}

static void rest(struct engine *engine, struct market *market, const struct taker *taker)
{
    int64_t shown_lots = taker->remaining_lots;
    if (taker->display_lots != 0 && taker->display_lots < shown_lots)
        shown_lots = taker->display_lots;
    struct book_order order = {
        .order_id = taker->order_id,
        .user_id = taker->user_id,
        .price_ticks = taker->limit_ticks,
        .remaining_lots = shown_lots,
        .filled_lots = taker->filled_lots,
        .market = market->number,
        .side = taker->side,
        .flags = flags_of(taker),
    };
    uint32_t slot = book_add(engine->memory, &market->book, &order);
    if (__builtin_expect(slot == BOOK_NONE, 0)) {
        close_taker(engine, market, taker, refused_status(taker->filled_lots), ENGINE_BOOK_FULL);
        return;
    }
    if (order.flags & BOOK_HAS_MORE) {
        keep_more(engine, market, slot, taker);
        engine->memory->more[slot].hidden_lots = taker->remaining_lots - shown_lots;
    }
    struct engine_opened *out =
        record_begin(engine, market, ENGINE_RECORD_OPENED, sizeof *out, side_name(taker->side), 1);
    memset(&out->status, 0, sizeof *out - offsetof(struct engine_opened, status));
    out->order_id = taker->order_id;
    out->user_id = taker->user_id;
    out->price_ticks = taker->limit_ticks;
    out->filled_lots = taker->filled_lots;
    out->remaining_lots = taker->remaining_lots;
    out->visible_lots = shown_lots;
    out->status = (uint8_t)open_status(taker->filled_lots);
    record_counted(engine, market, 0, 1);
    note_level(
        engine, market, taker->side, taker->limit_ticks, &engine->memory->levels[engine->memory->orders[slot].level]);
}

/* One tick, or price step, from the best opposite price. false: there is no such price. */
static bool slide(struct engine *engine, struct market *market, struct taker *taker)
{
    const struct engine_market_config *config = &market->state.config;
    int64_t step = config->price_step_ticks > 1 ? config->price_step_ticks : 1;
    int64_t best_ticks = market->book.sides[opposite(taker->side)].best_ticks;
    int64_t price_ticks;
    if (taker->side == BOOK_BID)
        price_ticks = (best_ticks - 1) / step * step;
    else if (__builtin_add_overflow(best_ticks / step * step, step, &price_ticks))
        return false;
    if (price_ticks <= 0 || !price_is_within(config, price_ticks))
        return false;
    int64_t released_minor = hold_of(config, taker->side, taker->limit_ticks, taker->remaining_lots) -
                             hold_of(config, taker->side, price_ticks, taker->remaining_lots);
    taker->limit_ticks = price_ticks;
    struct engine_amended *out =
        record_begin(engine, market, ENGINE_RECORD_AMENDED, sizeof *out, side_name(taker->side), 1);
    memset(&out->status, 0, sizeof *out - offsetof(struct engine_amended, status));
    out->order_id = taker->order_id;
    out->user_id = taker->user_id;
    out->price_ticks = price_ticks;
    out->quantity_lots = taker->filled_lots + taker->remaining_lots;
    out->filled_lots = taker->filled_lots;
    out->remaining_lots = taker->remaining_lots;
    out->released_minor = released_minor;
    out->status = (uint8_t)open_status(taker->filled_lots);
    out->amend_id = 0;
    out->visible_lots = 0;
    record_counted(engine, market, 1, 0);
    return true;
}

void trade_and_rest(struct engine *engine, struct market *market, struct taker *taker)
{
    enum match_end end = match(engine, market, taker);
    bool spends = taker->by_quote && taker->side == BOOK_BID;
    if (spends ? taker->quote_minor == 0 : taker->remaining_lots == 0)
        return;
    if (end == MATCH_OWN_ORDER)
        close_taker(engine, market, taker, ENGINE_CANCELLED, ENGINE_SELF_TRADE);
    else if (end == MATCH_SPENT)
        close_taker(engine, market, taker, ENGINE_CANCELLED, ENGINE_QUOTE_SPENT);
    else if (taker->time_in_force == ENGINE_GTC || taker->time_in_force == ENGINE_GTD)
        rest(engine, market, taker);
    else
        close_taker(engine, market, taker, ENGINE_CANCELLED, ENGINE_IOC_REMAINDER);
}

void enter(struct engine *engine, struct market *market, struct taker *taker)
{
    if (market->state.config.status == ENGINE_AUCTION)
        rest(engine, market, taker);
    else if (taker->post_only != ENGINE_MAY_TAKE && would_cross(market, taker->side, taker->limit_ticks) &&
             (taker->post_only == ENGINE_POST_OR_REJECT || !slide(engine, market, taker)))
        close_taker(engine, market, taker, refused_status(taker->filled_lots), ENGINE_POST_ONLY_WOULD_CROSS);
    else if (taker->time_in_force == ENGINE_FOK && !can_fill_whole(engine, market, taker))
        close_taker(engine, market, taker, ENGINE_CANCELLED, ENGINE_FOK_UNFILLED);
    else
        trade_and_rest(engine, market, taker);
}

static void take_more(struct taker *taker, const struct engine_order_more *more)
{
    taker->quote_minor = more->quote_minor;
    taker->by_quote = more->quote_minor != 0;
    taker->display_lots = more->display_lots;
    taker->expires_at_us = more->expires_at_us;
    taker->has_fees = more->has_fees;
    if (more->has_fees) {
        taker->maker_ppm = more->maker_fee_ppm;
        taker->taker_ppm = more->taker_fee_ppm;
    }
}

static void enter_stop(struct engine *engine, struct market *market, struct taker *taker, int64_t stop_ticks)
{
    if (!stop_is_reached(market, taker->side, stop_ticks)) {
        stop_wait(engine, market, taker, stop_ticks);
        return;
    }
    record_triggered(engine, market, taker, market->state.last_price_ticks);
    if (taker->type == ENGINE_STOP && taker->time_in_force != ENGINE_FOK)
        taker->time_in_force = ENGINE_IOC;
    enter(engine, market, taker);
}

void place_order(struct engine *engine, struct market *market, const struct engine_command *order, uint16_t quote_set)
{
    struct taker taker = {
        .order_id = order->order_id,
        .user_id = order->user_id,
        .limit_ticks = order->price_ticks,
        .remaining_lots = order->quantity_lots,
        .taker_ppm = market->state.config.taker_fee_ppm,
        .quote_set = quote_set,
        .side = (uint8_t)side_index((enum engine_side)order->side),
        .type = order->type,
        .time_in_force = order->time_in_force,
        .post_only = order->post_only,
        .self_trade = order->self_trade,
    };
    if (order->more)
        take_more(&taker, order->more);
    enum engine_reason reason = refusal(engine, market, order);
    if (reason != 0)
        close_taker(engine, market, &taker, ENGINE_REJECTED, reason);
    else if (taker.expires_at_us != 0 && taker.expires_at_us <= market->state.at_us)
        close_taker(engine, market, &taker, ENGINE_EXPIRED, ENGINE_REASON_EXPIRED);
    else if (is_stop(taker.type))
        enter_stop(engine, market, &taker, order->more->stop_price_ticks);
    else
        enter(engine, market, &taker);
}
