/* core.h -- the inside of the engine: shared by engine_core.c and core_*.c, and by nobody else.
 *
 *   engine_core.c    life, dispatch of commands, batches
 *   core_records.c   records, groups, level changes
 *   core_plain.c     straight paths of what comes by the million: plain orders, their cancels and moves
 *   core_place.c     new orders: verdict, refusal, entering
 *   core_match.c     fills, self-trade prevention, FOK
 *   core_cancel.c    cancel, cancel-all, kill switch, mass quote
 *   core_amend.c     amendments
 *   core_expiry.c    the heap of GTD orders
 *   core_stops.c     waiting orders, triggers
 *   core_auction.c   uncrossing
 *   core_markets.c   configuration
 *   core_state.c     reading and restoring
 *   core_market_data.c, core_names.c
 *
 * A command is judged (nothing changes), the clock is moved (GTD orders expire), it is carried out, stops that its
 * trades reached are triggered, and command_end() closes the group. */
#pragma once

#include "book_inline.h"
#include "engine_core.h"

#include <assert.h>

enum {
    PPM = 1000000,
    SYMBOL_TABLE_SIZE = 2 * ENGINE_MARKETS_MAX,
    GROUP_SIZE_MAX = sizeof(struct engine_group) + ENGINE_LEVELS_MAX * sizeof(struct engine_level_change),
    TOUCHED_SIZE = 2048, /* hash of the levels in a group, at most half full */
    QUOTE_LISTS = 1 << 16,
    KILLED_MAX_DEFAULT = 1 << 16,
};

#define ALWAYS_INLINE static inline __attribute__((always_inline))

struct market {
    struct engine_market state;
    uint16_t number;
    bool is_plain;     /* OPEN, without limits, band or blocked users: an order needs no further look */
    uint32_t killed;   /* blocked users */
    uint32_t waiting;  /* stop orders */
    uint32_t expiries; /* root of the heap of GTD orders; BOOK_NONE: none */
    int64_t traded_high_ticks, traded_low_ticks; /* since stops were last looked at; high 0: no trade */
    struct book book;
    struct book stops; /* by stop price: buys as asks (the lowest triggers first), sells as bids */
};

struct killed {
    uint64_t user_id; /* 0: empty */
    uint16_t market;
};

struct engine {
    struct book_memory *memory;
    struct market *markets;
    uint16_t markets_count, markets_max;
    bool level3;
    void (*drain)(void *context, const struct engine_record *first, size_t size);
    void *context;
    unsigned char *buffer;
    size_t buffer_size, buffer_used;
    uint32_t postings_pending, levels_pending, orders_pending;
    /* Of the command at hand: levels may change more than once, so they are looked up before they are noted. */
    bool may_repeat_levels;
    uint32_t touched_epoch, touched_indexed;
    struct engine_level_change levels[ENGINE_LEVELS_MAX];
    struct {
        uint32_t epoch, index;
    } touched[TOUCHED_SIZE];
    struct killed *killed; /* hashed, linear probing, at most half full */
    uint32_t killed_max, killed_count, killed_mask;
    uint32_t quote_lists[QUOTE_LISTS];   /* first slot of each list, by hash of user, market and set */
    uint16_t symbols[SYMBOL_TABLE_SIZE]; /* market + 1, by hash of the symbol; 0: empty */
};

/* An order outside the book: what a command brought, what a stop became, what an amendment took out. */
struct taker {
    uint64_t order_id, user_id;
    int64_t limit_ticks, filled_lots, remaining_lots;
    int64_t quote_minor; /* by_quote: what is left to spend or to receive */
    int64_t display_lots, expires_at_us;
    uint32_t maker_ppm, taker_ppm;
    uint16_t quote_set;
    uint8_t side; /* enum book_side_index */
    uint8_t type, time_in_force, post_only, self_trade;
    bool has_fees, by_quote;
};

/* ---- Small ones ---- */

static inline enum engine_side side_name(enum book_side_index side)
{
    return side == BOOK_BID ? ENGINE_BUY : ENGINE_SELL;
}

static inline enum book_side_index side_index(enum engine_side side)
{
    return side == ENGINE_BUY ? BOOK_BID : BOOK_ASK;
}

static inline enum book_side_index opposite(enum book_side_index side)
{
    return side == BOOK_BID ? BOOK_ASK : BOOK_BID;
}

/* Would an order of this side and limit trade at this price? */
static inline bool reaches(enum book_side_index side, int64_t limit_ticks, int64_t price_ticks)
{
    return side == BOOK_BID ? price_ticks <= limit_ticks : price_ticks >= limit_ticks;
}

static inline bool would_cross(const struct market *market, enum book_side_index side, int64_t limit_ticks)
{
    const struct book_side *other = &market->book.sides[opposite(side)];
    return other->best != BOOK_NONE && reaches(side, limit_ticks, other->best_ticks);
}

static inline bool is_crossed(const struct market *market)
{
    const struct book_side *bids = &market->book.sides[BOOK_BID];
    return bids->best != BOOK_NONE && would_cross(market, BOOK_BID, bids->best_ticks);
}

/* floor(received × ppm / 10^6) without leaving 64 bits: exact, because ppm <= 10^6. */
static inline int64_t fee_of(int64_t received_minor, uint32_t ppm)
{
    uint64_t product;
    if (__builtin_expect(!__builtin_mul_overflow((uint64_t)received_minor, (uint64_t)ppm, &product), 1))
        return (int64_t)(product / PPM);
    return received_minor / PPM * ppm + received_minor % PPM * ppm / PPM;
}

/* What an order of `lots` has to hold. The products fit: orders whose hold does not were refused. */
static inline int64_t hold_of(
    const struct engine_market_config *config, enum book_side_index side, int64_t limit_ticks, int64_t lots)
{
    return side == BOOK_BID ? limit_ticks * lots * config->notional_unit_minor : lots * config->lot_minor;
}

static inline int64_t hidden_lots(const struct book_memory *memory, uint32_t slot)
{
    const struct book_order *order = &memory->orders[slot];
    return (order->flags & (BOOK_HAS_MORE | BOOK_WAITS)) == BOOK_HAS_MORE ? memory->more[slot].hidden_lots : 0;
}

static inline struct book *book_of(struct market *market, const struct book_order *order)
{
    return order->flags & BOOK_WAITS ? &market->stops : &market->book;
}

/* A waiting order lies on the side of the stops' book that triggers in its direction. */
static inline enum book_side_index trading_side(const struct book_order *order)
{
    return order->flags & BOOK_WAITS ? opposite(order->side) : order->side;
}

static inline int64_t limit_of(const struct book_memory *memory, uint32_t slot)
{
    const struct book_order *order = &memory->orders[slot];
    return order->flags & BOOK_WAITS ? memory->more[slot].limit_ticks : order->price_ticks;
}

static inline uint8_t self_trade_of(const struct book_order *order)
{
    return (uint8_t)(((order->flags >> BOOK_SELF_TRADE_SHIFT) & 3) + ENGINE_CANCEL_NEWEST);
}

static inline enum engine_status open_status(int64_t filled_lots)
{
    return filled_lots > 0 ? ENGINE_PARTIALLY_FILLED : ENGINE_ACCEPTED;
}

/* The status of an order that is closed before it rested. */
static inline enum engine_status refused_status(int64_t filled_lots)
{
    return filled_lots > 0 ? ENGINE_CANCELLED : ENGINE_REJECTED;
}

/* ---- core_records.c ---- */

/* Emits what is pending of postings and order changes, and the levels too if asked for. */
void record_group(struct engine *engine, struct market *market, bool with_levels, bool last);

/* Room for one record, its head filled in; `events` is how many sequence numbers it stands for. */
ALWAYS_INLINE void *record_begin(struct engine *engine, struct market *market, enum engine_record_kind kind,
    size_t size, enum engine_side side, unsigned events)
{
    if (__builtin_expect(engine->buffer_size - engine->buffer_used < size, 0))
        engine_flush(engine);
    struct engine_record *record = (void *)(engine->buffer + engine->buffer_used);
    engine->buffer_used += size;
    record->size = (uint32_t)size;
    record->market = market->number;
    record->kind = (uint8_t)kind;
    record->side = (uint8_t)side;
    record->seq = market->state.seq + 1;
    record->at_us = market->state.at_us;
    market->state.seq += events;
    return record;
}

/* After a record: what it adds to the group at hand. */
ALWAYS_INLINE void record_counted(struct engine *engine, struct market *market, unsigned postings, unsigned orders)
{
    engine->postings_pending += postings;
    engine->orders_pending += engine->level3 ? orders : 0;
    if (__builtin_expect(
            engine->postings_pending == ENGINE_POSTINGS_MAX || engine->orders_pending == ENGINE_ORDERS_MAX, 0))
        record_group(engine, market, false, false);
}

/* Before a record that changes two orders of the book at once. */
void expect_two_orders(struct engine *engine, struct market *market);
/* The same while the command may touch a level again; and what follows when the group has no room for another level. */
void note_repeated_level(struct engine *engine, struct market *market, enum book_side_index side, int64_t price_ticks,
    const struct book_level *level);
void levels_are_many(struct engine *engine, struct market *market);

static inline void level_change_set(
    struct engine_level_change *change, enum book_side_index side, int64_t price_ticks, const struct book_level *level)
{
    change->price_ticks = price_ticks;
    change->total_lots = level->total_lots;
    change->orders = level->orders;
    change->side = (uint8_t)side_name(side);
}

/* Notes the state of a level after it changed; a level that is gone still has its zeros. */
static inline void note_level(struct engine *engine, struct market *market, enum book_side_index side,
    int64_t price_ticks, const struct book_level *level)
{
    if (__builtin_expect(engine->may_repeat_levels, 0)) {
        note_repeated_level(engine, market, side, price_ticks, level);
        return;
    }
    level_change_set(&engine->levels[engine->levels_pending++], side, price_ticks, level);
    if (__builtin_expect(engine->levels_pending == ENGINE_LEVELS_MAX, 0))
        levels_are_many(engine, market);
}

/* From here on the command may touch a level again. */
void expect_repeated_levels(struct engine *engine);
void command_end(struct engine *engine, struct market *market);

/* ---- core_place.c ---- */

enum engine_verdict judge_order(
    const struct engine *engine, const struct market *market, const struct engine_command *order);
/* An order that was judged. */
void place_order(struct engine *engine, struct market *market, const struct engine_command *order, uint16_t quote_set);
/* A taker meets the book: trades, rests, is closed. trade_and_rest(): if nothing forbids it to trade. */
void trade_and_rest(struct engine *engine, struct market *market, struct taker *taker);
void enter(struct engine *engine, struct market *market, struct taker *taker);
void close_taker(struct engine *engine, struct market *market, const struct taker *taker, enum engine_status status,
    enum engine_reason reason);
/* Of a priced order: outside the market's limits or band? 0: no. */
enum engine_reason beyond_limits(
    const struct market *market, int64_t price_ticks, int64_t quantity_lots, bool has_own_price);
/* The side table's part of an order that goes into the book or waits. */
void keep_more(struct engine *engine, struct market *market, uint32_t slot, const struct taker *taker);
uint8_t flags_of(const struct taker *taker);

/* ---- core_plain.c: a command as received. The same records as the general paths give. false: not plain, or not fine;
 * nothing was done. true: done, with its group. ---- */

bool place_plain(struct engine *engine, struct market *market, const struct engine_command *order);
bool cancel_plain(struct engine *engine, struct market *market, const struct engine_command *cancel);
bool amend_plain(struct engine *engine, struct market *market, const struct engine_command *amend);

/* ---- core_match.c ---- */

/* A trade happened: the last price, and what stops are measured by. */
void note_trade(struct market *market, int64_t price_ticks);
enum match_end { MATCH_DONE, MATCH_OWN_ORDER, MATCH_SPENT };
enum match_end match(struct engine *engine, struct market *market, struct taker *taker);
bool can_fill_whole(const struct engine *engine, const struct market *market, const struct taker *taker);
/* Takes executed lots off a resting order: it stays, shows its next part, or leaves. */
void fill_resting(struct engine *engine, struct market *market, uint32_t slot, int64_t lots);
/* A resting order's part of a fill of `lots` that are not taken off yet. */
void party_of(const struct engine *engine, const struct market *market, uint32_t slot, int64_t lots,
    int64_t received_minor, bool is_maker, struct engine_party *ret_party);
/* Takes lots off a resting order without a trade; it keeps its place. */
void decrement_resting(struct engine *engine, struct market *market, uint32_t slot, int64_t lots);

/* ---- core_cancel.c ---- */

void cancel_order(struct engine *engine, struct market *market, const struct engine_command *command);
/* known: the order is another user's. */
void reject_cancel(struct engine *engine, struct market *market, const struct engine_command *command, bool known);
void cancel_all(struct engine *engine, struct market *market, uint64_t user_id, enum engine_reason reason);
enum engine_verdict set_kill_switch(struct engine *engine, struct market *market, uint64_t user_id, bool engaged);
bool is_killed(const struct engine *engine, const struct market *market, uint64_t user_id);
/* A resting or waiting order leaves with a CLOSED record. */
void close_resting(
    struct engine *engine, struct market *market, uint32_t slot, enum engine_status status, enum engine_reason reason);
/* It leaves book, heap and lists, without a record. */
void leave(struct engine *engine, struct market *market, uint32_t slot);
enum engine_verdict judge_quotes(
    const struct engine *engine, const struct market *market, const struct engine_command *command);
void mass_quote(struct engine *engine, struct market *market, const struct engine_command *command);
void quote_link(struct engine *engine, uint32_t slot);

/* ---- core_amend.c ---- */

enum engine_verdict judge_amend(
    const struct engine *engine, const struct market *market, const struct engine_command *amend);
void amend_order(struct engine *engine, struct market *market, const struct engine_command *amend);
/* A resting or waiting order as if it had just come; it is still where it was. */
struct taker taker_of(const struct engine *engine, const struct market *market, uint32_t slot);

/* ---- core_expiry.c ---- */

void expiry_add(struct book_memory *memory, struct market *market, uint32_t slot);
void expiry_remove(struct book_memory *memory, struct market *market, uint32_t slot);
/* Closes what is due at the market's clock. */
void expire(struct engine *engine, struct market *market);

/* ---- core_stops.c ---- */

/* true: the last trade has reached the stop price already. */
bool stop_is_reached(const struct market *market, enum book_side_index side, int64_t stop_ticks);
void stop_wait(struct engine *engine, struct market *market, const struct taker *taker, int64_t stop_ticks);
/* Lets in what the trades since the last call have reached, and what that reaches in turn. */
void trigger_stops(struct engine *engine, struct market *market);
void record_triggered(struct engine *engine, struct market *market, const struct taker *taker, int64_t last_ticks);

/* ---- core_auction.c ---- */

void uncross(struct engine *engine, struct market *market);

/* ---- core_markets.c ---- */

void market_look(struct market *market); /* sets is_plain */
