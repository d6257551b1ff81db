/* engine_core.h -- the matching engine without its surroundings: commands in, records out, for all markets of one
 * shard.
 *
 * Pure: no I/O, no clock, no randomness, no floating point, and no allocation after engine_new(). The same commands
 * give the same records, byte for byte, whatever the batches and whether or not the state was saved and restored in
 * between. One thread. Plain C types only, so that anything that can call C can drive it.
 *
 * Matching. Price, then time of arrival; a fill happens at the maker's price. What is not honoured is rejected as
 * UNSUPPORTED, never ignored.
 *   market     arrives as IOC or FOK with its protection price; by quote amount a buy spends at most that, a sell stops
 *              with the fill that brought it there (before fees)
 *   stop       waits until a trade reaches its stop price (at once if the last one had), then enters as a market order;
 *              stop-limit as a limit order. All that a command triggers enters before the next command, one at a time,
 *              the lowest order id first among the nearest of each side
 *   GTD        gone when the market's clock reaches its end, before the command that moved the clock is looked at
 *   post-only  rejected if it would trade on arrival, or slides to one tick (or price step) from the best opposite
 *              price
 *   iceberg    shows `display` lots; the next part goes to the end of the queue; takers see the whole
 *   self-trade the newer order's mode: it loses its remainder, the older is cancelled, both, or both lose the smaller
 *              quantity
 *   amend      quantity down at the same price keeps its place; anything else leaves the book and enters as new
 *   auction    while the market is in AUCTION orders rest without trading; going to OPEN uncrosses at one price
 *
 * Fees are floor(received × ppm / 10^6) for each fill, in the asset received: quote for the seller, base for the buyer.
 * So the fees of an order never exceed what it received, however it is cut into fills.
 *
 * Time. A market's clock is the highest time it was given; it stamps every record.
 *
 * Records (engine_records.h) are handed to `drain` when the buffer is full and by engine_flush(). */
#pragma once

#include "engine_records.h"

enum {
    ENGINE_SYMBOL_MAX = 32, /* bytes with the NUL */
    ENGINE_MARKETS_MAX = 4096,
    ENGINE_QUOTES_MAX = 100,        /* orders of one mass quote */
    ENGINE_BUFFER_MIN = 128 * 1024, /* bytes of records */
    ENGINE_NO_MARKET = 0xffff,
};

/* The values are those of penstock.orders.v1 and penstock.markets.v1. */
enum engine_type { ENGINE_LIMIT = 1, ENGINE_MARKET = 2, ENGINE_STOP = 3, ENGINE_STOP_LIMIT = 4 };
enum engine_time_in_force { ENGINE_GTC = 1, ENGINE_IOC = 2, ENGINE_FOK = 3, ENGINE_GTD = 4 };
enum engine_post_only { ENGINE_MAY_TAKE, ENGINE_POST_OR_REJECT, ENGINE_POST_OR_SLIDE };
enum engine_self_trade {
    ENGINE_SELF_TRADE_DEFAULT, /* means CANCEL_NEWEST */
    ENGINE_CANCEL_NEWEST,
    ENGINE_CANCEL_OLDEST,
    ENGINE_CANCEL_BOTH,
    ENGINE_DECREMENT,
};
enum engine_market_status { ENGINE_OPEN = 1, ENGINE_HALTED = 2, ENGINE_CANCEL_ONLY = 3, ENGINE_AUCTION = 4 };

/* A command that breaks the contract changes nothing and gives no record. */
enum engine_verdict {
    ENGINE_OK,
    ENGINE_BAD_COMMAND,
    ENGINE_BAD_MARKET,
    ENGINE_BAD_ORDER_ID,
    ENGINE_BAD_USER_ID,
    ENGINE_BAD_SIDE,
    ENGINE_BAD_TYPE,
    ENGINE_BAD_TIME_IN_FORCE,
    ENGINE_BAD_POST_ONLY,
    ENGINE_BAD_SELF_TRADE,
    ENGINE_BAD_PRICE,
    ENGINE_BAD_QUANTITY,
    ENGINE_BAD_STOP_PRICE, /* a stop without one, or one without a stop */
    ENGINE_BAD_QUOTE_AMOUNT,
    ENGINE_BAD_DISPLAY,
    ENGINE_BAD_EXPIRY, /* GTD without one, or one without GTD */
    ENGINE_BAD_FEES,
    ENGINE_BAD_HOLD, /* not what price and quantity ask for, or the notional is not below 2^63 */
    ENGINE_BAD_AMEND_ID,
    ENGINE_BAD_QUOTES,      /* set 0, too many orders, or not all LIMIT and GTC of this user */
    ENGINE_DUPLICATE_ORDER, /* the id is resting or waiting */
    ENGINE_BAD_CONFIG,      /* a value out of range, or tick, lot or assets changed */
    ENGINE_TOO_MANY_MARKETS,
    ENGINE_TOO_MANY_KILLED,
    ENGINE_VERDICTS,
};
const char *engine_verdict_field(enum engine_verdict verdict); /* the offending field, as in the proto */
const char *engine_verdict_text(enum engine_verdict verdict);

/* ---- Commands ---- */

enum engine_command_kind {
    ENGINE_PLACE = 1,
    ENGINE_CANCEL, /* order_id, user_id */
    ENGINE_AMEND, /* order_id, user_id, amend_id, price_ticks, quantity_lots: new total, hold_minor: extra hold, side */
    ENGINE_TICK,  /* at_us alone */
    ENGINE_CANCEL_ALL,  /* user_id */
    ENGINE_MASS_QUOTE,  /* user_id, quotes */
    ENGINE_KILL_SWITCH, /* user_id, engaged */
    ENGINE_REFERENCE,   /* price_ticks: what the price band is measured from */
};

/* What few orders have. All 0: as if absent. */
struct engine_order_more {
    int64_t stop_price_ticks;
    int64_t quote_minor; /* market orders: by quote amount; quantity is then 0 for a buy, the most to sell for a sell */
    int64_t display_lots;
    int64_t expires_at_us;
    uint32_t maker_fee_ppm, taker_fee_ppm;
    bool has_fees; /* false: the market's */
};

/* One cache line. Codes are as received, narrowed by engine_code(): values that mean nothing are refused here. */
struct engine_command {
    uint64_t order_id, user_id;
    int64_t price_ticks, quantity_lots;
    int64_t hold_minor;
    int64_t at_us;
    uint8_t side, type, time_in_force;
    uint8_t post_only;  /* enum engine_post_only */
    uint8_t self_trade; /* enum engine_self_trade */
    uint8_t kind;       /* enum engine_command_kind */
    uint16_t market;
    union {
        const struct engine_order_more *more; /* PLACE; NULL: none of it */
        uint64_t amend_id;
        const struct engine_quotes *quotes;
        bool engaged;
    };
};

struct engine_quotes {
    const struct engine_command *orders; /* as for PLACE */
    uint32_t count;                      /* 0: only cancel */
    uint16_t quote_set;                  /* > 0 */
};

static inline uint8_t engine_code(int64_t value)
{
    return value >= 0 && value < UINT8_MAX ? (uint8_t)value : UINT8_MAX;
}

/* ---- The engine ---- */

struct engine;

struct engine_options {
    uint32_t orders_max;  /* resting and waiting, over all markets */
    uint32_t pages_max;   /* pages of 64 ticks with resting orders; 0: as many as orders_max, at most 2^20 */
    uint32_t killed_max;  /* users blocked by kill switches, over all markets; 0: 65536 */
    uint16_t markets_max; /* at most ENGINE_MARKETS_MAX */
    bool huge_pages;      /* ask the kernel for them: faster with many orders, but memory comes 2 MB at a time */
    bool small_start;     /* and of each pool the first 2 MB are small ones: what holds little takes little */
    bool level3;          /* GROUP has the orders part, with its sequences */
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

enum engine_verdict engine_apply(struct engine *engine, const struct engine_command *command);

/* The same for many, faster: what later commands will need is fetched from memory ahead. ret_verdicts: one for each
 * command, or NULL. Returns how many were ENGINE_OK. */
size_t engine_apply_batch(
    struct engine *engine, const struct engine_command *commands, size_t count, enum engine_verdict *ret_verdicts);

/* Hands over what is in the buffer. */
void engine_flush(struct engine *engine);

struct engine_market_config {
    char symbol[ENGINE_SYMBOL_MAX];
    uint32_t market_id;
    uint32_t base_asset_id, quote_asset_id;
    int64_t lot_minor, notional_unit_minor;
    uint32_t maker_fee_ppm, taker_fee_ppm; /* at most 10^6 */
    uint8_t status;                        /* enum engine_market_status */
    uint32_t price_band_ppm;               /* 0: none, as all that follow */
    int64_t min_price_ticks, max_price_ticks, price_step_ticks;
    int64_t min_quantity_lots, max_quantity_lots, quantity_step_lots;
    int64_t min_notional_minor, max_notional_minor;
};

/* Adds a market, or changes fees, status and limits of a known one; resting orders stay as they are. Going to OPEN
 * uncrosses a crossed book: that gives records, stamped with the market's clock. Flushes first and last, so that
 * records are read with the configuration they were made under. */
enum engine_verdict engine_configure(
    struct engine *engine, const struct engine_market_config *config, uint16_t *ret_market);

/* ---- Reading the state ---- */

struct engine_market {
    struct engine_market_config config;
    uint64_t seq, trade_id, posting_seq, book_seq, orders_seq; /* last used */
    int64_t at_us;
    int64_t last_price_ticks;      /* 0: no trade yet */
    int64_t reference_price_ticks; /* 0: none was set */
};

uint16_t engine_market_count(const struct engine *engine);
const struct engine_market *engine_market_get(const struct engine *engine, uint16_t market);
uint16_t engine_market_find(const struct engine *engine, const char *symbol); /* or ENGINE_NO_MARKET */
uint32_t engine_orders_count(const struct engine *engine); /* resting and waiting, over all markets */

/* All that the engine knows of a resting or waiting order. */
struct engine_resting {
    uint64_t order_id, user_id;
    int64_t price_ticks, filled_lots;
    int64_t remaining_lots; /* all of it, hidden lots included; 0 for a waiting buy by quote amount */
    int64_t visible_lots;   /* what shows; below min(display, remaining) once a part was traded. 0 while waiting */
    struct engine_order_more more;
    uint16_t quote_set;
    uint8_t side, type, time_in_force, post_only, self_trade;
    bool waiting; /* for its stop price */
};

/* false: no such resting or waiting order in this market. */
bool engine_order_find(
    const struct engine *engine, uint16_t market, uint64_t order_id, struct engine_resting *ret_order);
/* Levels from the touch outwards, resting orders in the order they will trade. `each` returns false to stop. */
void engine_each_level(const struct engine *engine, uint16_t market, enum engine_side side,
    bool (*each)(void *context, const struct engine_level_change *level), void *context);
void engine_each_order(const struct engine *engine, uint16_t market, enum engine_side side,
    bool (*each)(void *context, const struct engine_resting *order), void *context);
/* Waiting stop orders, those that trigger first before the others. */
void engine_each_waiting(const struct engine *engine, uint16_t market, enum engine_side side,
    bool (*each)(void *context, const struct engine_resting *order), void *context);
/* Users blocked by a kill switch, by id. */
void engine_each_killed(
    const struct engine *engine, uint16_t market, bool (*each)(void *context, uint64_t user_id), void *context);
bool engine_best(
    const struct engine *engine, uint16_t market, enum engine_side side, struct engine_level_change *ret_level);
/* false: nothing rests there. */
bool engine_depth_at(const struct engine *engine, uint16_t market, enum engine_side side, int64_t price_ticks,
    struct engine_level_change *ret_level);
/* CRC-32 of the ten best levels of each side, as BookChanged.checksum describes it. */
uint32_t engine_book_checksum(const struct engine *engine, uint16_t market);

/* ---- Restoring it: markets in their order; then for each its resting orders, its waiting ones and its killed users,
 * as the functions above gave them. ---- */
enum engine_verdict engine_restore_market(struct engine *engine, const struct engine_market *market);
enum engine_verdict engine_restore_order(struct engine *engine, uint16_t market,
    const struct engine_resting *order); /* BAD_… or TOO_MANY_MARKETS: does not fit */
enum engine_verdict engine_restore_killed(struct engine *engine, uint16_t market, uint64_t user_id);

void engine_check(const struct engine *engine); /* aborts on a broken invariant; for tests */
