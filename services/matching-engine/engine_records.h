/* engine_records.h -- what the matching engine says: one record after the other in its buffer.
 *
 * One command gives, in this order: EXPIRED orders that its time ended (CLOSED); what it did, as it happened; GROUP, if
 * money moved or the book changed. A command that changes nothing gives no GROUP.
 *
 * Sequences are gapless per market and start at 1. seq counts every output event: a FILL is three (the trade, the
 * maker's, the taker's), each other record but GROUP one, a GROUP one for each of its parts. Parts of a GROUP:
 *   postings  FILL, CLOSED, AMENDED and AMEND_REJECTED since the market's last GROUP with postings: each one posting
 *   levels    level-2 changes, each level once, in the order in which the command first touched them
 *   orders    level-3 changes of the records since the market's last GROUP with orders: see engine_level3_of()
 * A long command is cut: a GROUP covers at most ENGINE_POSTINGS_MAX postings, ENGINE_LEVELS_MAX levels and
 * ENGINE_ORDERS_MAX order changes; another goes on. `last` marks the one that ends the command: the engine's book is
 * then as after the command. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ENGINE_POSTINGS_MAX = 1000,
    ENGINE_LEVELS_MAX = 1000,
    ENGINE_ORDERS_MAX = 1000,
};

/* The values are those of penstock.orders.v1 and penstock.markets.v1. */
enum engine_side { ENGINE_BUY = 1, ENGINE_SELL = 2 };
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
    ENGINE_LIMITS = 10,
    ENGINE_PRICE_BAND = 11,
    ENGINE_KILLED = 12,
    ENGINE_CANCELLED_ALL = 13,
    ENGINE_QUOTE_REPLACED = 14,
    ENGINE_QUOTE_SPENT = 15,
};

/* Why an amendment was rejected. engine_amend_problem_name(): the problem type on the wire. */
enum engine_amend_problem {
    ENGINE_AMEND_NOT_OPEN = 1,   /* no such open or waiting order in this market */
    ENGINE_AMEND_FOREIGN,        /* it is another user's */
    ENGINE_AMEND_ALREADY_FILLED, /* the new quantity is not above what was executed */
    ENGINE_AMEND_WOULD_CROSS,    /* post-only */
    ENGINE_AMEND_MARKET_CLOSED,
    ENGINE_AMEND_KILLED,
    ENGINE_AMEND_LIMITS,
    ENGINE_AMEND_PRICE_BAND,
    ENGINE_AMEND_UNCOVERED, /* what is held and the extra hold do not cover the order as amended */
    ENGINE_AMEND_UNSUPPORTED,
    ENGINE_AMEND_PROBLEMS,
};
const char *engine_amend_problem_name(enum engine_amend_problem problem);
const char *engine_amend_problem_text(enum engine_amend_problem problem);

enum engine_record_kind {
    ENGINE_RECORD_FILL = 1,
    ENGINE_RECORD_OPENED,
    ENGINE_RECORD_CLOSED,
    ENGINE_RECORD_CANCEL_REJECTED,
    ENGINE_RECORD_TRIGGERED,
    ENGINE_RECORD_AMENDED,
    ENGINE_RECORD_AMEND_REJECTED,
    ENGINE_RECORD_GROUP,
};

/* No record has padding: what would be is `zero`, so that the same record is the same bytes.
 *
 * Begins every record; `size` leads to the next one. */
struct engine_record {
    uint32_t size; /* bytes, a multiple of 8 */
    uint16_t market;
    uint8_t kind; /* enum engine_record_kind */
    uint8_t side; /* of the taker in a fill, of the order otherwise; 0: none or not known */
    uint64_t seq; /* of the first event that the record stands for */
    int64_t at_us;
};

#define engine_each_record(record, first, size)                                                                        \
    const struct engine_record *record = (first);                                                                      \
    (const char *)record < (const char *)(first) + (size);                                                             \
    record = (const void *)((const char *)record + record->size)

struct engine_party {
    uint64_t order_id, user_id;
    int64_t filled_lots, remaining_lots; /* after this fill; remaining is 0 for a buy by quote amount */
    int64_t fee_minor;                   /* of what it received */
    int64_t limit_ticks;                 /* what a buyer's hold was computed with; by quote amount: the fill's price */
    int64_t visible_lots; /* what shows of it in the book after this fill; 0: it has left, or never was */
    uint8_t status;       /* enum engine_status: PARTIALLY_FILLED or FILLED */
    bool in_book;         /* it was resting: always the maker, in an auction both */
    bool requeued;        /* an iceberg showed its next part, at the end of the queue */
    uint8_t zero[5];
};

/* seq: the trade; seq + 1: the maker's event; seq + 2: the taker's. In an auction the taker is the younger order. */
struct engine_fill {
    struct engine_record record;
    uint64_t trade_id;
    int64_t price_ticks, quantity_lots;
    struct engine_party maker, taker;
};

/* The order now rests with `remaining`, or waits for its stop price (visible_lots 0, `waiting`). */
struct engine_opened {
    struct engine_record record;
    uint64_t order_id, user_id;
    int64_t price_ticks;
    int64_t filled_lots, remaining_lots;
    int64_t visible_lots; /* what shows of it */
    uint8_t status;       /* ACCEPTED or PARTIALLY_FILLED */
    bool waiting;
    uint8_t zero[6];
};

/* The order is final without being filled. filled + remaining is its quantity; remaining is 0 for a buy by quote
 * amount. */
struct engine_closed {
    struct engine_record record;
    uint64_t order_id, user_id;
    int64_t price_ticks;
    int64_t filled_lots, remaining_lots;
    int64_t released_minor; /* all that was still held; quote of a buy, base of a sell */
    uint8_t status;         /* CANCELLED, REJECTED or EXPIRED */
    uint8_t reason;         /* enum engine_reason */
    bool in_book;           /* it was resting */
    uint8_t zero[5];
};

struct engine_cancel_rejected {
    struct engine_record record;
    uint64_t order_id, user_id;
    bool known; /* false: no such open order in this market; true: it is another user's */
    uint8_t zero[7];
};

/* From here on a stop is a market order with its protection price, a stop-limit a limit order. */
struct engine_triggered {
    struct engine_record record;
    uint64_t order_id, user_id;
    int64_t last_price_ticks; /* the trade that triggered it */
};

/* Price and quantity from here on. An order that loses its priority leaves the book here (visible_lots 0) and enters it
 * anew: fills, then OPENED or CLOSED follow, as for a new order. amend_id 0: self-trade prevention took quantity, or a
 * post-only order slid. */
struct engine_amended {
    struct engine_record record;
    uint64_t order_id, user_id, amend_id;
    int64_t price_ticks;
    int64_t quantity_lots; /* filled and remaining */
    int64_t filled_lots, remaining_lots;
    int64_t visible_lots;   /* what shows of it now */
    int64_t released_minor; /* >= 0 */
    uint8_t status;         /* ACCEPTED or PARTIALLY_FILLED */
    bool kept_priority;
    bool in_book; /* it was resting */
    uint8_t zero[5];
};

struct engine_amend_rejected {
    struct engine_record record;
    uint64_t order_id, user_id, amend_id;
    int64_t filled_lots, remaining_lots; /* of the order, if it is open and the user's */
    int64_t released_minor;              /* the whole extra hold; side tells the asset */
    uint8_t status;                      /* of the order, as now; 0: not open here */
    uint8_t problem;                     /* enum engine_amend_problem */
    uint8_t zero[6];
};

struct engine_level_change {
    int64_t price_ticks;
    int64_t total_lots; /* what shows at this price; 0: the level is gone */
    uint32_t orders;
    uint8_t side;
    uint8_t zero[3];
};

struct engine_group {
    struct engine_record record;                /* seq: of the postings, then the levels, then the orders */
    uint64_t posting_seq, book_seq, orders_seq; /* 0: no such part */
    uint32_t postings, levels, orders;          /* how many */
    uint32_t last;                              /* 1: the command ends here */
    struct engine_level_change changes[];       /* `levels` of them */
};

/* A level-3 change: an order as others see it. */
struct engine_order_change {
    uint64_t order_id;
    int64_t price_ticks;
    int64_t visible_lots; /* 0: it has left the book */
    uint8_t side;
    bool requeued; /* it went to the end of its price's queue */
};

/* The level-3 changes that a record stands for, 0 … 2 of them, in order. Returns how many. */
size_t engine_level3_of(const struct engine_record *record, struct engine_order_change ret_changes[2]);
