/* naive.h -- the rules of matching once more, as slowly and plainly as possible: one unsorted list of orders, scanned
 * for each decision. The judge of the real engine in the differential test. */
#pragma once

#include "engine_core.h"

enum naive_kind { NAIVE_FILL, NAIVE_OPENED, NAIVE_CLOSED, NAIVE_CANCEL_REJECTED };

/* What one command did, in order. Fields that a kind has no use for are 0. */
struct naive_event {
    enum naive_kind kind;
    uint64_t order_id; /* of the taker in a fill */
    uint64_t maker_id;
    int64_t price_ticks, quantity_lots;  /* of the fill; else 0 */
    int64_t filled_lots, remaining_lots; /* of order_id */
    int64_t maker_remaining_lots;
    int status, reason;
};

enum { NAIVE_ORDERS_MAX = 4096, NAIVE_EVENTS_MAX = NAIVE_ORDERS_MAX + 4 };

struct naive_order {
    uint64_t order_id, user_id, arrival;
    int64_t price_ticks, filled_lots, remaining_lots;
    int side;
};

struct naive {
    struct naive_order orders[NAIVE_ORDERS_MAX]; /* resting, in no order */
    size_t count, orders_max;
    uint64_t arrivals;
    int status; /* of the market */
    struct naive_event events[NAIVE_EVENTS_MAX];
    size_t events_count;
};

/* Both forget the events of the command before. */
void naive_place(struct naive *naive, const struct engine_command *order);
void naive_cancel(struct naive *naive, uint64_t order_id, uint64_t user_id);

/* The order that trades first among those of a side and after `arrival` at or worse than it; for walking the book in
 * order. NULL: no more. */
const struct naive_order *naive_first(const struct naive *naive, int side, const struct naive_order *after);
