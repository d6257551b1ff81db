/* Uncrossing: see docs/decisions/auction.md. */
#include "core.h"

/* ---- The price ---- */

struct choice {
    int64_t price_ticks; /* 0: none yet */
    __int128 volume, imbalance, distance;
};

static __int128 level_lots(const struct book_memory *memory, uint32_t level)
{
    __int128 lots = 0;
    for (uint32_t at = memory->levels[level].head; at != BOOK_NONE; at = memory->links[at].next)
        lots += (__int128)memory->orders[at].remaining_lots + hidden_lots(memory, at);
    return lots;
}

static bool is_better(const struct choice *a, const struct choice *b)
{
    if (b->price_ticks == 0 || a->volume != b->volume)
        return b->price_ticks == 0 || a->volume > b->volume;
    if (a->imbalance != b->imbalance)
        return a->imbalance < b->imbalance;
    if (a->distance != b->distance)
        return a->distance < b->distance;
    return a->price_ticks < b->price_ticks;
}

static void consider(
    const struct market *market, struct choice *best, int64_t price_ticks, __int128 demand, __int128 supply)
{
    const struct engine_market *state = &market->state;
    int64_t anchor_ticks = state->reference_price_ticks ? state->reference_price_ticks : state->last_price_ticks;
    __int128 distance = anchor_ticks ? (__int128)price_ticks - anchor_ticks : 0;
    struct choice choice = {
        .price_ticks = price_ticks,
        .volume = demand < supply ? demand : supply,
        .imbalance = demand < supply ? supply - demand : demand - supply,
        .distance = distance < 0 ? -distance : distance,
    };
    if (is_better(&choice, best))
        *best = choice;
}

static int64_t price_or(const struct book_memory *memory, uint32_t level, int64_t otherwise)
{
    return level == BOOK_NONE ? otherwise : book_level_price(memory, level);
}

/* Every limit price in the crossed part of the book, from the lowest to the highest. */
static int64_t uncrossing_price(const struct engine *engine, const struct market *market)
{
    const struct book_memory *memory = engine->memory;
    const struct book_side *bids = &market->book.sides[BOOK_BID], *asks = &market->book.sides[BOOK_ASK];
    uint32_t bid = BOOK_NONE, ask = asks->best;
    __int128 demand = 0, supply = 0;
    struct choice best = { 0 };
    for (uint32_t at = bids->best; at != BOOK_NONE && book_level_price(memory, at) >= asks->best_ticks;
         at = book_level_after(memory, BOOK_BID, at)) {
        demand += level_lots(memory, at);
        bid = at;
    }
    while (bid != BOOK_NONE) {
        int64_t bid_ticks = book_level_price(memory, bid), ask_ticks = price_or(memory, ask, INT64_MAX);
        int64_t price_ticks = bid_ticks < ask_ticks ? bid_ticks : ask_ticks;
        if (ask != BOOK_NONE && ask_ticks == price_ticks) {
            supply += level_lots(memory, ask);
            ask = book_level_after(memory, BOOK_ASK, ask);
        }
        consider(market, &best, price_ticks, demand, supply);
        if (bid_ticks == price_ticks) {
            demand -= level_lots(memory, bid);
            bid = book_level_after(memory, BOOK_ASK, bid); /* towards the touch */
        }
    }
    return best.price_ticks;
}

/* ---- The trades ---- */

struct pair {
    uint32_t older, younger;
};

static void fill_pair(
    struct engine *engine, struct market *market, const struct pair *pair, int64_t price_ticks, int64_t lots)
{
    const struct engine_market_config *config = &market->state.config;
    enum book_side_index younger_side = engine->memory->orders[pair->younger].side;
    int64_t notional_minor = price_ticks * lots * config->notional_unit_minor, base_minor = lots * config->lot_minor;
    bool younger_buys = younger_side == BOOK_BID;
    expect_two_orders(engine, market);
    struct engine_fill *out = record_begin(engine, market, ENGINE_RECORD_FILL, sizeof *out, side_name(younger_side), 3);
    out->trade_id = ++market->state.trade_id;
    out->price_ticks = price_ticks;
    out->quantity_lots = lots;
    party_of(engine, market, pair->older, lots, younger_buys ? notional_minor : base_minor, true, &out->maker);
    party_of(engine, market, pair->younger, lots, younger_buys ? base_minor : notional_minor, false, &out->taker);
    fill_resting(engine, market, pair->older, lots);
    fill_resting(engine, market, pair->younger, lots);
    record_counted(engine, market, 1, 2);
}

static int64_t whole(const struct book_memory *memory, uint32_t slot)
{
    return memory->orders[slot].remaining_lots + hidden_lots(memory, slot);
}

static void close_own(struct engine *engine, struct market *market, uint32_t slot)
{
    close_resting(engine, market, slot, ENGINE_CANCELLED, ENGINE_SELF_TRADE);
}

static void part_own_orders(struct engine *engine, struct market *market, const struct pair *pair)
{
    int64_t older_lots = whole(engine->memory, pair->older), younger_lots = whole(engine->memory, pair->younger);
    uint8_t mode = self_trade_of(&engine->memory->orders[pair->younger]);
    bool decrements = mode == ENGINE_DECREMENT;
    if (mode == ENGINE_CANCEL_OLDEST || mode == ENGINE_CANCEL_BOTH || (decrements && older_lots <= younger_lots))
        close_own(engine, market, pair->older);
    else if (decrements)
        decrement_resting(engine, market, pair->older, younger_lots);
    if (mode == ENGINE_CANCEL_NEWEST || mode == ENGINE_CANCEL_BOTH || (decrements && younger_lots <= older_lots))
        close_own(engine, market, pair->younger);
    else if (decrements)
        decrement_resting(engine, market, pair->younger, older_lots);
}

/* The first of each side at this price. */
static void uncross_heads(struct engine *engine, struct market *market, int64_t price_ticks)
{
    const struct book_memory *memory = engine->memory;
    const struct book_side *bids = &market->book.sides[BOOK_BID], *asks = &market->book.sides[BOOK_ASK];
    const struct book_level *bid_level = &memory->levels[bids->best], *ask_level = &memory->levels[asks->best];
    int64_t bid_ticks = bids->best_ticks, ask_ticks = asks->best_ticks;
    const struct book_order *bid = &memory->orders[bid_level->head], *ask = &memory->orders[ask_level->head];
    bool bid_is_older = bid->order_id < ask->order_id;
    struct pair pair = { bid_is_older ? bid_level->head : ask_level->head,
        bid_is_older ? ask_level->head : bid_level->head };
    if (bid->user_id == ask->user_id)
        part_own_orders(engine, market, &pair);
    else {
        fill_pair(engine, market, &pair, price_ticks,
            bid->remaining_lots < ask->remaining_lots ? bid->remaining_lots : ask->remaining_lots);
        note_trade(market, price_ticks);
    }
    note_level(engine, market, BOOK_BID, bid_ticks, bid_level);
    note_level(engine, market, BOOK_ASK, ask_ticks, ask_level);
}

void uncross(struct engine *engine, struct market *market)
{
    const struct book_side *bids = &market->book.sides[BOOK_BID], *asks = &market->book.sides[BOOK_ASK];
    expect_repeated_levels(engine);
    /* Once, unless self-trade prevention takes orders away that the price counted on. */
    while (is_crossed(market)) {
        int64_t price_ticks = uncrossing_price(engine, market);
        while (bids->best != BOOK_NONE && bids->best_ticks >= price_ticks && asks->best != BOOK_NONE &&
               asks->best_ticks <= price_ticks)
            uncross_heads(engine, market, price_ticks);
    }
}
