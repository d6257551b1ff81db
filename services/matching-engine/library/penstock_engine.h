/* penstock_engine.h -- Penstock's matching core as a shared library: one market, driven from anything that can call C.
 *
 *   struct pe_engine *engine = pe_init(&(struct pe_options){ .size = sizeof(struct pe_options), .orders_max = 100000,
 *       .report = on_reports });
 *   pe_new(engine, &(struct pe_order){ .order_id = 1, .side = PE_BUY, .type = PE_LIMIT, .time_in_force = PE_GTC,
 *       .price_ticks = 100, .quantity_lots = 5 });
 *   pe_flush(engine);
 *   pe_free(engine);
 *
 * The same core as in the process, with the same rules: price, then time; fills at the maker's price; what cannot be
 * honoured is refused with a report, never ignored. Integers only. No I/O, no clock, no threads of its own; no
 * allocation after pe_init(). One thread at a time may use an engine; engines share nothing.
 *
 * The ABI is stable: functions and fields are added, at the ends, and never changed; `size` tells the library which
 * fields a caller knows. Link with pkg-config penstock-engine. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PE_API __attribute__((visibility("default")))

enum pe_side { PE_BUY = 1, PE_SELL = 2 };
enum pe_type { PE_LIMIT = 1, PE_MARKET = 2, PE_STOP = 3, PE_STOP_LIMIT = 4 };
enum pe_time_in_force { PE_GTC = 1, PE_IOC = 2, PE_FOK = 3 };
enum pe_post_only { PE_MAY_TAKE = 0, PE_POST_OR_REJECT = 1, PE_POST_OR_SLIDE = 2 };
enum pe_self_trade { PE_CANCEL_NEWEST = 1, PE_CANCEL_OLDEST = 2, PE_CANCEL_BOTH = 3, PE_DECREMENT = 4 }; /* 0: newest */

/* PE_OK: carried out, or refused with a report. Anything else broke the contract: nothing changed, nothing was
 * reported. */
enum pe_result {
    PE_OK = 0,
    PE_BAD_MESSAGE = 1, /* a value that means nothing, or whose products leave 63 bits */
    PE_DUPLICATE = 2,   /* the id is in the book */
};

enum pe_report_kind {
    PE_ACCEPTED = 1,        /* rests or waits with left_lots at price_ticks */
    PE_FILL = 2,            /* order_id: the taker, other_id: the maker; left_lots and other_left_lots after it */
    PE_CLOSED = 3,          /* final without being filled: cancelled, expired or refused; see reason */
    PE_CANCEL_REJECTED = 4, /* no such order of this user */
    PE_TRIGGERED = 5,       /* a stop; price_ticks: the trade that did it */
    PE_MODIFIED = 6, /* price_ticks and left_lots from here on; if it lost its place, fills and ACCEPTED follow */
    PE_MODIFY_REJECTED = 7, /* see reason */
    PE_LEVEL = 8,           /* side, price_ticks; quantity_lots: what shows there now, 0: the level is gone */
    PE_MESSAGE_END = 9, /* what the message changed is complete; only after messages that traded or changed levels */
};

/* Why: for CLOSED 1 requested, 2 IOC, 3 self-trade, 4 FOK, 5 post-only, 7 book full, 9 not supported; for
 * MODIFY_REJECTED 1 not open, 2 another user's, 3 already filled, 4 post-only. As engine_records.h has them. */
struct pe_report { /* 64 bytes */
    uint64_t seq;  /* of the first event it stands for: grows, the same for the same messages */
    uint64_t order_id, other_id;
    int64_t price_ticks, quantity_lots;
    int64_t left_lots, other_left_lots;
    uint8_t kind; /* enum pe_report_kind */
    uint8_t side; /* of order_id; of LEVEL the level's */
    uint8_t reason;
    uint8_t zero[5];
};

/* All 0 but `size` and `orders_max` is fine. */
struct pe_options {
    size_t size;         /* sizeof(struct pe_options) */
    uint32_t orders_max; /* resting and waiting; 1 … 2^28. Memory is used as orders come */
    uint32_t pages_max;  /* pages of 64 neighbouring prices in use; 0: as many as orders, at most 2^20 */
    size_t buffer_size;  /* bytes of records before reports are handed over on their own; 0: 128 kB */
    void (*report)(void *context, const struct pe_report *reports, size_t count); /* NULL: no reports */
    void *context;
};

struct pe_order {
    uint64_t order_id;                  /* > 0 */
    uint64_t user_id;                   /* for self-trade prevention and cancels; 0: of nobody else, trades with all */
    int64_t price_ticks, quantity_lots; /* > 0; of market and stop orders the price is the worst one accepted */
    int64_t stop_price_ticks;           /* stops only */
    int64_t display_lots;               /* iceberg: what shows; 0: all */
    uint8_t side, type, time_in_force, post_only, self_trade;
    uint8_t zero[3];
};

enum pe_message_kind { PE_NEW = 1, PE_CANCEL = 2, PE_MODIFY = 3 };

/* CANCEL: order_id and user_id of `order`; MODIFY: price_ticks and quantity_lots too. */
struct pe_message {
    struct pe_order order;
    uint8_t kind; /* enum pe_message_kind */
    uint8_t zero[7];
};

struct pe_level {
    int64_t price_ticks, quantity_lots; /* what shows */
    uint32_t orders;
    uint32_t zero;
};

struct pe_engine;

PE_API uint32_t pe_abi_version(void); /* 0 for this header */

/* NULL: options that make no sense, or not enough address space. */
PE_API struct pe_engine *pe_init(const struct pe_options *options);
PE_API void pe_free(struct pe_engine *engine); /* NULL is fine; what was not flushed is not reported */

PE_API enum pe_result pe_new(struct pe_engine *engine, const struct pe_order *order);
PE_API enum pe_result pe_cancel(struct pe_engine *engine, uint64_t order_id, uint64_t user_id);
/* quantity_lots: the new total, with what was executed. Fewer lots at the same price keep the place in the queue. */
PE_API enum pe_result pe_modify(
    struct pe_engine *engine, uint64_t order_id, uint64_t user_id, int64_t price_ticks, int64_t quantity_lots);
/* The same for many, faster with a deep book. ret_results: one each, or NULL. Returns how many were PE_OK. */
PE_API size_t pe_batch(
    struct pe_engine *engine, const struct pe_message *messages, size_t count, enum pe_result *ret_results);

/* Hands all reports over that were not yet: without it they come when the buffer is full. */
PE_API void pe_flush(struct pe_engine *engine);

/* 1, or 0 if the side is empty. */
PE_API int pe_best(const struct pe_engine *engine, enum pe_side side, struct pe_level *ret_level);
/* What shows at a price; 0: nothing. */
PE_API int64_t pe_depth_at(const struct pe_engine *engine, enum pe_side side, int64_t price_ticks);

#ifdef __cplusplus
}
#endif
