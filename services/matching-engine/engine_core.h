/* engine_core.h -- the matching engine without its surroundings: commands in, records out, for all markets of one
 * shard.
 *
 * Pure: no I/O, no clock, no randomness, no floating point, and no allocation after engine_new(). The same commands
 * give the same records, byte for byte. One thread. Plain C types only, so that anything that can call C can drive it.
 *
 * Matching. Price, then time of arrival; a fill happens at the maker's price. A market order arrives as IOC with its
 * protection price. Self-trade prevention is "cancel newest": an order that reaches a resting order of the same user
 * loses its remainder (reason SELF_TRADE), the resting one stays. Post-only orders that would cross are rejected. FOK
 * looks first, then fills or is cancelled whole. What is not honoured (stop, stop-limit, GTD, post-only IOC, …) is
 * rejected as UNSUPPORTED, never ignored. A halted or cancel-only market rejects new orders and accepts cancels.
 *
 * Fees are floor(received × ppm / 10^6) in the asset received: quote for the seller, base for the buyer.
 *
 * Time. A market's clock is the highest time it was given; it stamps every record.
 *
 * Records are laid one after the other in the engine's buffer and handed to `drain` when the buffer is full and by
 * engine_flush(). One command gives, in this order: fills as they happen; what became of the order (OPENED or CLOSED);
 * POSTINGS, if there was a fill or a release of a hold; BOOK, if a level changed. Sequences are gapless per market and
 * start at 1: seq counts every output event (a fill is three: the trade, the maker's, the taker's), trade_id fills,
 * posting_seq POSTINGS, book_seq BOOK. A long sweep is cut: POSTINGS covers at most ENGINE_POSTINGS_MAX fills and
 * releases, BOOK at most ENGINE_LEVELS_MAX levels; the next record of the kind goes on. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ENGINE_SYMBOL_MAX = 32, /* bytes with the NUL */
    ENGINE_MARKETS_MAX = 4096,
    ENGINE_POSTINGS_MAX = 1000,
    ENGINE_LEVELS_MAX = 1000,
    ENGINE_BUFFER_MIN = 128 * 1024, /* bytes of records */
    ENGINE_NO_MARKET = 0xffff,
};

/* The values are those of penstock.orders.v1 and penstock.markets.v1. */
enum engine_side { ENGINE_BUY = 1, ENGINE_SELL = 2 };
enum engine_type { ENGINE_LIMIT = 1, ENGINE_MARKET = 2, ENGINE_STOP = 3, ENGINE_STOP_LIMIT = 4 };
enum engine_time_in_force { ENGINE_GTC = 1, ENGINE_IOC = 2, ENGINE_FOK = 3, ENGINE_GTD = 4 };
enum engine_status {
    ENGINE_ACCEPTED = 1,
    ENGINE_PARTIALLY_FILLED = 2,
    ENGINE_FILLED = 3,
    ENGINE_CANCELLED = 4,
    ENGINE_REJECTED = 5,
    ENGINE_EXPIRED = 6,
};
enum engine_reason {
    ENGINE_REQUESTED = 1,
    ENGINE_IOC_REMAINDER = 2,
    ENGINE_SELF_TRADE = 3,
    ENGINE_FOK_UNFILLED = 4,
    ENGINE_POST_ONLY_WOULD_CROSS = 5,
    ENGINE_MARKET_CLOSED = 6,
    ENGINE_BOOK_FULL = 7,
    ENGINE_REASON_EXPIRED = 8,
    ENGINE_UNSUPPORTED = 9,
};
enum engine_market_status { ENGINE_OPEN = 1, ENGINE_HALTED = 2, ENGINE_CANCEL_ONLY = 3 };

/* A command that breaks the contract changes nothing and gives no record. */
enum engine_verdict {
    ENGINE_OK,
    ENGINE_BAD_MARKET,
    ENGINE_BAD_ORDER_ID,
    ENGINE_BAD_USER_ID,
    ENGINE_BAD_SIDE,
    ENGINE_BAD_TYPE,
    ENGINE_BAD_TIME_IN_FORCE,
    ENGINE_BAD_PRICE,
    ENGINE_BAD_QUANTITY,
    ENGINE_BAD_HOLD,        /* not what price and quantity ask for, or the notional is not below 2^63 */
    ENGINE_DUPLICATE_ORDER, /* the id is resting */
    ENGINE_BAD_CONFIG,      /* a value out of range, or tick, lot or assets changed */
    ENGINE_TOO_MANY_MARKETS,
    ENGINE_VERDICTS,
};
const char *engine_verdict_field(enum engine_verdict verdict); /* the offending field, as in the proto */
const char *engine_verdict_text(enum engine_verdict verdict);

/* ---- Records ---- */

enum engine_record_kind {
    ENGINE_RECORD_FILL = 1,
    ENGINE_RECORD_OPENED,
    ENGINE_RECORD_CLOSED,
    ENGINE_RECORD_CANCEL_REJECTED,
    ENGINE_RECORD_POSTINGS,
    ENGINE_RECORD_BOOK,
};

/* Begins every record; `size` leads to the next one. */
struct engine_record {
    uint32_t size; /* bytes, a multiple of 8 */
    uint16_t market;
    uint8_t kind; /* enum engine_record_kind */
    uint8_t side; /* of the taker in a fill, of the order otherwise; 0 in POSTINGS and BOOK */
    uint64_t seq; /* of the first event that the record stands for */
    int64_t at_us;
};

struct engine_party {
    uint64_t order_id, user_id;
    int64_t filled_lots, remaining_lots; /* after this fill */
    int64_t fee_minor;
};

/* seq: the trade; seq + 1: the maker's event; seq + 2: the taker's. */
struct engine_fill {
    struct engine_record record;
    uint64_t trade_id;
    int64_t price_ticks, quantity_lots;
    int64_t taker_limit_ticks; /* what the taker's hold was computed with */
    struct engine_party maker, taker;
};

/* OPENED: what now rests. CLOSED: filled and remaining give the whole; the hold of `remaining` is to be released. */
struct engine_order_record {
    struct engine_record record;
    uint64_t order_id, user_id;
    int64_t price_ticks;
    int64_t filled_lots, remaining_lots;
    uint8_t status; /* enum engine_status */
    uint8_t reason; /* enum engine_reason; 0 in OPENED */
};

struct engine_cancel_rejected {
    struct engine_record record;
    uint64_t order_id, user_id;
    bool known; /* false: no such open order in this market; true: it is another user's */
};

/* Closes the group of FILL and CLOSED records since the market's last POSTINGS. */
struct engine_postings {
    struct engine_record record;
    uint64_t posting_seq;
    uint64_t count;
};

struct engine_level_change {
    int64_t price_ticks;
    int64_t total_lots; /* 0: gone */
    uint32_t orders;
    uint8_t side;
};

struct engine_book_record {
    struct engine_record record;
    uint64_t book_seq;
    uint64_t count;
    struct engine_level_change changes[];
};

/* ---- The engine ---- */

struct engine;

struct engine_options {
    uint32_t orders_max;  /* resting, over all markets */
    uint32_t pages_max;   /* pages of 64 ticks with resting orders; 0: as many as orders_max, at most 2^20 */
    uint16_t markets_max; /* at most ENGINE_MARKETS_MAX */
    size_t buffer_size;   /* bytes of records; 0: ENGINE_BUFFER_MIN */
    void (*drain)(void *context, const struct engine_record *first, size_t size); /* NULL: records are dropped */
    void *context;
};

struct engine *engine_new(const struct engine_options *options); /* NULL: no memory */
void engine_free(struct engine *engine);                         /* NULL is fine */
static inline void engine_free_cleanup(struct engine **engine)
{
    engine_free(*engine);
}

/* Hands over what is in the buffer. */
void engine_flush(struct engine *engine);

struct engine_market_config {
    char symbol[ENGINE_SYMBOL_MAX];
    uint32_t market_id;
    uint32_t base_asset_id, quote_asset_id;
    int64_t lot_minor, notional_unit_minor;
    uint32_t maker_fee_ppm, taker_fee_ppm; /* at most 10^6 */
    uint8_t status;                        /* enum engine_market_status */
};

/* Adds a market, or changes fees and status of a known one. Flushes first, so that records are read with the
 * configuration they were made under. */
enum engine_verdict engine_configure(
    struct engine *engine, const struct engine_market_config *config, uint16_t *ret_market);

struct engine_order {
    uint64_t order_id, user_id;
    int64_t price_ticks, quantity_lots;
    int64_t hold_minor;
    int64_t at_us;
    int32_t side, type, time_in_force; /* as received: unknown values are refused here */
    bool post_only;
};

enum engine_verdict engine_place(struct engine *engine, uint16_t market, const struct engine_order *order);
enum engine_verdict engine_cancel(
    struct engine *engine, uint16_t market, uint64_t order_id, uint64_t user_id, int64_t at_us);
enum engine_verdict engine_tick(struct engine *engine, uint16_t market, int64_t now_us);

/* ---- Reading the state ---- */

struct engine_market {
    struct engine_market_config config;
    uint64_t seq, trade_id, posting_seq, book_seq; /* last used */
    int64_t at_us;
    int64_t last_price_ticks; /* 0: no trade yet */
};

uint16_t engine_market_count(const struct engine *engine);
const struct engine_market *engine_market_get(const struct engine *engine, uint16_t market);
uint16_t engine_market_find(const struct engine *engine, const char *symbol); /* or ENGINE_NO_MARKET */
uint32_t engine_orders_count(const struct engine *engine);                    /* resting, over all markets */

struct engine_resting {
    uint64_t order_id, user_id;
    int64_t price_ticks, filled_lots, remaining_lots;
    uint8_t side;
};

/* Levels from the touch outwards, resting orders in the order they will trade. `each` returns false to stop. */
void engine_each_level(const struct engine *engine, uint16_t market, enum engine_side side,
    bool (*each)(void *context, const struct engine_level_change *level), void *context);
void engine_each_order(const struct engine *engine, uint16_t market, enum engine_side side,
    bool (*each)(void *context, const struct engine_resting *order), void *context);
bool engine_best(
    const struct engine *engine, uint16_t market, enum engine_side side, struct engine_level_change *ret_level);
/* false: nothing rests there. */
bool engine_depth_at(const struct engine *engine, uint16_t market, enum engine_side side, int64_t price_ticks,
    struct engine_level_change *ret_level);

/* ---- Restoring it: markets in their order, then resting orders in the order engine_each_order() gave them. ---- */
enum engine_verdict engine_restore_market(struct engine *engine, const struct engine_market *market);
enum engine_verdict engine_restore_order(struct engine *engine, uint16_t market,
    const struct engine_resting *order); /* BAD_… or TOO_MANY_MARKETS: does not fit */

void engine_check(const struct engine *engine); /* aborts on a broken invariant; for tests */
