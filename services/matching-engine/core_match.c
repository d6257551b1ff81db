#include "core.h"

#include <string.h>

static bool same_user(const struct taker *taker, const struct book_order *order)
{
    return order->user_id == taker->user_id;
}

/* ---- How much an order still wants at a price ---- */

static int64_t wanted_by_quote(
    const struct engine_market_config *config, const struct taker *taker, int64_t price_ticks)
{
    int64_t lot_price_minor;
    bool dear = __builtin_mul_overflow(price_ticks, config->notional_unit_minor, &lot_price_minor);
    if (taker->quote_minor <= 0)
        return 0;
    if (taker->side == BOOK_BID)
        return dear ? 0 : taker->quote_minor / lot_price_minor;
    int64_t lots = dear ? 1 : (taker->quote_minor - 1) / lot_price_minor + 1;
    return lots < taker->remaining_lots ? lots : taker->remaining_lots;
}

static inline int64_t wanted(const struct market *market, const struct taker *taker, int64_t price_ticks)
{
    return __builtin_expect(taker->by_quote, 0) ? wanted_by_quote(&market->state.config, taker, price_ticks)
                                                : taker->remaining_lots;
}

/* `lots` are off the order, traded or not. */
static inline void taker_loses(struct taker *taker, int64_t lots, int64_t notional_minor)
{
    if (!taker->by_quote || taker->side == BOOK_ASK)
        taker->remaining_lots -= lots;
    if (taker->by_quote)
        taker->quote_minor -= notional_minor;
}

static inline bool is_filled(const struct taker *taker)
{
    return taker->by_quote && taker->side == BOOK_BID ? taker->quote_minor == 0 : taker->remaining_lots == 0;
}

/* ---- Fills ---- */

/* What an iceberg shows next when its last `lots` are executed: those lots make the room that the level's sum needs. */
static int64_t next_part(const struct book_memory *memory, uint32_t slot, int64_t lots)
{
    const struct book_more *more = &memory->more[slot];
    int64_t part_lots = INT64_MAX - (memory->levels[memory->orders[slot].level].total_lots - lots);
    if (more->display_lots < part_lots)
        part_lots = more->display_lots;
    return more->hidden_lots < part_lots ? more->hidden_lots : part_lots;
}

void party_of(const struct engine *engine, const struct market *market, uint32_t slot, int64_t lots,
    int64_t received_minor, bool is_maker, struct engine_party *ret_party)
{
    const struct book_order *order = &engine->memory->orders[slot];
    const struct engine_market_config *config = &market->state.config;
    uint32_t ppm = is_maker ? config->maker_fee_ppm : config->taker_fee_ppm;
    int64_t shown_lots = order->remaining_lots - lots, hidden = 0;
    bool requeued = false;
    if (__builtin_expect(order->flags & BOOK_HAS_MORE, 0)) {
        const struct book_more *more = &engine->memory->more[slot];
        if (more->has_fees)
            ppm = is_maker ? more->maker_ppm : more->taker_ppm;
        hidden = more->hidden_lots;
        requeued = shown_lots == 0 && hidden > 0;
        if (requeued)
            shown_lots = next_part(engine->memory, slot, lots);
        hidden -= requeued ? shown_lots : 0;
    }
    ret_party->order_id = order->order_id;
    ret_party->user_id = order->user_id;
    ret_party->filled_lots = order->filled_lots + lots;
    ret_party->remaining_lots = shown_lots + hidden;
    ret_party->fee_minor = fee_of(received_minor, ppm);
    ret_party->limit_ticks = order->price_ticks;
    ret_party->visible_lots = shown_lots;
    memset(&ret_party->status, 0, sizeof *ret_party - offsetof(struct engine_party, status));
    ret_party->status = shown_lots == 0 ? ENGINE_FILLED : ENGINE_PARTIALLY_FILLED;
    ret_party->in_book = true;
    ret_party->requeued = requeued;
}

void fill_resting(struct engine *engine, struct market *market, uint32_t slot, int64_t lots)
{
    struct book_memory *memory = engine->memory;
    book_fill(memory, slot, lots);
    if (memory->orders[slot].remaining_lots > 0)
        return;
    if (__builtin_expect(hidden_lots(memory, slot) == 0, 1)) {
        leave(engine, market, slot);
        return;
    }
    int64_t part_lots = next_part(memory, slot, 0);
    memory->more[slot].hidden_lots -= part_lots;
    book_requeue(memory, slot, part_lots);
}

void note_trade(struct market *market, int64_t price_ticks)
{
    market->state.last_price_ticks = price_ticks;
    if (__builtin_expect(market->waiting == 0, 1))
        return;
    if (market->traded_high_ticks == 0 || price_ticks < market->traded_low_ticks)
        market->traded_low_ticks = price_ticks;
    if (price_ticks > market->traded_high_ticks)
        market->traded_high_ticks = price_ticks;
}

static void fill(struct engine *engine, struct market *market, struct taker *taker, uint32_t maker_slot, int64_t lots)
{
    const struct engine_market_config *config = &market->state.config;
    int64_t price_ticks = engine->memory->orders[maker_slot].price_ticks;
    int64_t notional_minor = price_ticks * lots * config->notional_unit_minor;
    int64_t base_minor = lots * config->lot_minor;
    bool taker_buys = taker->side == BOOK_BID;
    taker_loses(taker, lots, notional_minor);
    taker->filled_lots += lots;
    struct engine_fill *out = record_begin(engine, market, ENGINE_RECORD_FILL, sizeof *out, side_name(taker->side), 3);
    out->trade_id = ++market->state.trade_id;
    out->price_ticks = price_ticks;
    out->quantity_lots = lots;
    party_of(engine, market, maker_slot, lots, taker_buys ? notional_minor : base_minor, true, &out->maker);
    out->taker.order_id = taker->order_id;
    out->taker.user_id = taker->user_id;
    out->taker.filled_lots = taker->filled_lots;
    out->taker.remaining_lots = taker->remaining_lots;
    out->taker.fee_minor = fee_of(taker_buys ? base_minor : notional_minor, taker->taker_ppm);
    out->taker.limit_ticks = taker->by_quote ? price_ticks : taker->limit_ticks;
    out->taker.visible_lots = 0;
    memset(&out->taker.status, 0, sizeof out->taker - offsetof(struct engine_party, status));
    out->taker.status = is_filled(taker) ? ENGINE_FILLED : ENGINE_PARTIALLY_FILLED;
    note_trade(market, price_ticks);
    fill_resting(engine, market, maker_slot, lots);
    record_counted(engine, market, 1, 1);
}

/* ---- Self-trade prevention ---- */

void decrement_resting(struct engine *engine, struct market *market, uint32_t slot, int64_t lots)
{
    struct book_memory *memory = engine->memory;
    struct book_order *order = &memory->orders[slot];
    int64_t hidden = hidden_lots(memory, slot);
    int64_t from_hidden = lots < hidden ? lots : hidden;
    if (from_hidden > 0)
        memory->more[slot].hidden_lots -= from_hidden;
    book_shrink(memory, slot, lots - from_hidden);
    int64_t remaining_lots = order->remaining_lots + hidden - from_hidden;
    struct engine_amended *out =
        record_begin(engine, market, ENGINE_RECORD_AMENDED, sizeof *out, side_name(order->side), 1);
    memset(&out->status, 0, sizeof *out - offsetof(struct engine_amended, status));
    out->order_id = order->order_id;
    out->user_id = order->user_id;
    out->price_ticks = order->price_ticks;
    out->quantity_lots = order->filled_lots + remaining_lots;
    out->filled_lots = order->filled_lots;
    out->remaining_lots = remaining_lots;
    out->visible_lots = order->remaining_lots;
    out->released_minor = hold_of(&market->state.config, order->side, order->price_ticks, lots);
    out->status = (uint8_t)open_status(order->filled_lots);
    out->kept_priority = true;
    out->in_book = true;
    out->amend_id = 0;
    record_counted(engine, market, 1, 1);
}

static void decrement_taker(
    struct engine *engine, struct market *market, struct taker *taker, int64_t lots, int64_t price_ticks)
{
    const struct engine_market_config *config = &market->state.config;
    int64_t notional_minor = price_ticks * lots * config->notional_unit_minor;
    taker_loses(taker, lots, notional_minor);
    bool spends = taker->by_quote && taker->side == BOOK_BID;
    struct engine_amended *out =
        record_begin(engine, market, ENGINE_RECORD_AMENDED, sizeof *out, side_name(taker->side), 1);
    memset(&out->status, 0, sizeof *out - offsetof(struct engine_amended, status));
    out->order_id = taker->order_id;
    out->user_id = taker->user_id;
    out->price_ticks = taker->limit_ticks;
    out->quantity_lots = spends ? 0 : taker->filled_lots + taker->remaining_lots;
    out->filled_lots = taker->filled_lots;
    out->remaining_lots = taker->remaining_lots;
    out->released_minor = spends ? notional_minor : hold_of(config, taker->side, taker->limit_ticks, lots);
    out->status = (uint8_t)open_status(taker->filled_lots);
    out->amend_id = 0;
    out->visible_lots = 0;
    record_counted(engine, market, 1, 0);
}

/* Both lose the smaller quantity; who has nothing left is cancelled. true: the taker goes on. */
static bool decrement_both(
    struct engine *engine, struct market *market, struct taker *taker, uint32_t maker, int64_t wanted_lots)
{
    const struct book_order *order = &engine->memory->orders[maker];
    int64_t price_ticks = order->price_ticks;
    int64_t maker_lots = order->remaining_lots + hidden_lots(engine->memory, maker);
    if (maker_lots > wanted_lots)
        decrement_resting(engine, market, maker, wanted_lots);
    else
        close_resting(engine, market, maker, ENGINE_CANCELLED, ENGINE_SELF_TRADE);
    if (maker_lots >= wanted_lots)
        return false;
    decrement_taker(engine, market, taker, maker_lots, price_ticks);
    return true;
}

/* An order of the taker's own user is next. true: the taker goes on. */
static bool meet_own_order(
    struct engine *engine, struct market *market, struct taker *taker, uint32_t maker, int64_t wanted_lots)
{
    if (taker->self_trade > ENGINE_CANCEL_NEWEST)
        expect_repeated_levels(engine);
    switch ((enum engine_self_trade)taker->self_trade) {
    case ENGINE_CANCEL_OLDEST:
        close_resting(engine, market, maker, ENGINE_CANCELLED, ENGINE_SELF_TRADE);
        return true;
    case ENGINE_CANCEL_BOTH:
        close_resting(engine, market, maker, ENGINE_CANCELLED, ENGINE_SELF_TRADE);
        return false;
    case ENGINE_DECREMENT:
        return decrement_both(engine, market, taker, maker, wanted_lots);
    case ENGINE_SELF_TRADE_DEFAULT:
    case ENGINE_CANCEL_NEWEST:
        break;
    }
    return false;
}

/* ---- Matching ---- */

/* Trades against the best level until taker or level is used up. false: stopped at an order of the taker's own user. */
static bool match_level(struct engine *engine, struct market *market, struct taker *taker)
{
    enum book_side_index side = opposite(taker->side);
    uint32_t level_slot = market->book.sides[side].best;
    int64_t price_ticks = market->book.sides[side].best_ticks;
    const struct book_level *level = &engine->memory->levels[level_slot];
    int64_t lots_before = level->total_lots, wanted_lots;
    uint32_t orders_before = level->orders;
    bool goes_on = true;
    /* An emptied level keeps its zeros here: nothing can open it before this ends. */
    while (goes_on && level->orders > 0 && (wanted_lots = wanted(market, taker, price_ticks)) > 0) {
        uint32_t maker = level->head;
        const struct book_order *order = &engine->memory->orders[maker];
        __builtin_prefetch(&engine->memory->orders[engine->memory->links[maker].next]);
        if (__builtin_expect(same_user(taker, order), 0))
            goes_on = meet_own_order(engine, market, taker, maker, wanted_lots);
        else
            fill(engine, market, taker, maker,
                order->remaining_lots < wanted_lots ? order->remaining_lots : wanted_lots);
    }
    if (level->total_lots != lots_before || level->orders != orders_before)
        note_level(engine, market, side, price_ticks, level);
    return goes_on;
}

enum match_end match(struct engine *engine, struct market *market, struct taker *taker)
{
    const struct book_side *side = &market->book.sides[opposite(taker->side)];
    while (side->best != BOOK_NONE && reaches(taker->side, taker->limit_ticks, side->best_ticks)) {
        int64_t price_ticks = side->best_ticks;
        if (wanted(market, taker, price_ticks) > 0 && !match_level(engine, market, taker))
            return MATCH_OWN_ORDER;
        /* What does not buy a lot here does not at a worse price either, whether or not there is one. */
        if (wanted(market, taker, price_ticks) == 0)
            return taker->by_quote ? MATCH_SPENT : MATCH_DONE;
    }
    return MATCH_DONE;
}

/* ---- Fill-or-kill ---- */

/* What of a level the taker could trade, in the order in which it would: first what shows, then what is hidden. Takes
 * it off the copy. false: an own order ends it before. */
static bool try_level(const struct engine *engine, const struct market *market, struct taker *taker, uint32_t level)
{
    const struct book_memory *memory = engine->memory;
    int64_t price_ticks = book_level_price(memory, level);
    for (int hidden = 0; hidden <= 1; hidden++)
        for (uint32_t at = memory->levels[level].head; at != BOOK_NONE; at = memory->links[at].next) {
            int64_t want = wanted(market, taker, price_ticks);
            if (want == 0)
                return true;
            if (same_user(taker, &memory->orders[at])) {
                if (taker->self_trade == ENGINE_CANCEL_OLDEST)
                    continue;
                return false;
            }
            int64_t has = hidden ? hidden_lots(memory, at) : memory->orders[at].remaining_lots;
            int64_t lots = has < want ? has : want;
            taker_loses(taker, lots, price_ticks * lots * market->state.config.notional_unit_minor);
        }
    return true;
}

bool can_fill_whole(const struct engine *engine, const struct market *market, const struct taker *taker)
{
    struct taker trial = *taker;
    enum book_side_index side = opposite(taker->side);
    for (uint32_t level = market->book.sides[side].best; level != BOOK_NONE;
         level = book_level_after(engine->memory, side, level)) {
        int64_t price_ticks = book_level_price(engine->memory, level);
        if (!reaches(taker->side, taker->limit_ticks, price_ticks))
            return false;
        if (!try_level(engine, market, &trial, level))
            return false;
        if (wanted(market, &trial, price_ticks) == 0)
            return !trial.by_quote || trial.side == BOOK_BID || trial.quote_minor <= 0;
    }
    return false;
}
