/* plain_book.h -- what the matching engine has to do, written down as plainly as possible: open orders in one unsorted
 * array, every question answered by looking at all of them. Follows the contract (proto/, engine_core.h,
 * docs/decisions/auction.md), shares no code with the engine, and is what random tests hold the engine against. */
#pragma once

#include "steps.h"

enum { PLAIN_MARKETS_MAX = 4, PLAIN_ORDERS_MAX = 1024, PLAIN_KILLED_MAX = 64, PLAIN_EVENTS_MAX = 8192 };

enum plain_event_kind {
    PLAIN_FILL = ENGINE_RECORD_FILL,
    PLAIN_OPENED = ENGINE_RECORD_OPENED,
    PLAIN_CLOSED = ENGINE_RECORD_CLOSED,
    PLAIN_CANCEL_REJECTED = ENGINE_RECORD_CANCEL_REJECTED,
    PLAIN_TRIGGERED = ENGINE_RECORD_TRIGGERED,
    PLAIN_AMENDED = ENGINE_RECORD_AMENDED,
    PLAIN_AMEND_REJECTED = ENGINE_RECORD_AMEND_REJECTED,
};

/* One record of the engine in short; what a kind does not have is 0. */
struct plain_event {
    enum plain_event_kind kind;
    uint64_t order_id;
    uint64_t other;            /* FILL: the maker; AMENDED, AMEND_REJECTED: the amendment */
    int64_t price_ticks, lots; /* FILL: traded; AMENDED: the new total; otherwise filled so far */
    int64_t left_lots, other_left_lots;
    int64_t shows_lots; /* FILL: of the maker */
    int64_t fee_minor, other_fee_minor;
    int64_t released_minor;
    uint8_t status, reason; /* AMEND_REJECTED: reason is the problem */
    uint8_t market;
    bool flag; /* OPENED: waiting; AMENDED: kept priority; CANCEL_REJECTED: known; FILL: the maker was requeued */
};

struct plain_order {
    uint64_t order_id, user_id;
    uint64_t arrival; /* the smaller, the earlier in its price's queue */
    int64_t limit_ticks, stop_ticks;
    int64_t filled_lots, left_lots, shows_lots;
    int64_t quote_minor; /* by quote amount: what is left of it */
    int64_t display_lots, expires_at_us;
    int64_t hold_minor; /* what of its hold is left */
    int64_t received_minor, fees_minor;
    uint32_t maker_ppm, taker_ppm;
    uint16_t quote_set;
    uint8_t side, type, time_in_force, post_only, self_trade;
    bool has_fees, by_quote, waits;
};

struct plain_market {
    struct engine_market_config config;
    int64_t at_us, last_ticks, reference_ticks;
    int64_t high_ticks, low_ticks; /* trades that stops have not seen yet; high 0: none */
    struct plain_order orders[PLAIN_ORDERS_MAX];
    size_t count;
    uint64_t killed[PLAIN_KILLED_MAX];
    size_t killed_count;
};

struct plain {
    struct plain_market markets[PLAIN_MARKETS_MAX];
    uint16_t markets_count;
    uint64_t arrivals;
    struct plain_event events[PLAIN_EVENTS_MAX]; /* of the last step */
    size_t events_count;
};

/* false: the step breaks the contract and changed nothing. */
bool plain_apply(struct plain *plain, const struct step *step);

/* Does the command keep to the contract? */
bool plain_judge(struct plain *plain, struct plain_market *market, const struct step *step);

struct plain_order *plain_find_here(struct plain_market *market, uint64_t order_id);

/* The open order with this id, in any market; NULL: none. */
struct plain_order *plain_find(struct plain *plain, uint64_t order_id, uint16_t *ret_market);

/* Of two orders on one side that do not wait: would a trade before b? */
bool plain_before(const struct plain_order *a, const struct plain_order *b);

/* The first of the side that comes after `after` (NULL: the very first); NULL: no more. Waiting ones are left out. */
struct plain_order *plain_next(struct plain_market *market, uint8_t side, const struct plain_order *after);
