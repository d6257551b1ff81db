/* posting_rules.h -- what the engine says happened, held against what the ledger knows. Pure.
 *
 * The ledger trusts no one: it computes from its own orders and markets what an execution or a release must move, and
 * books that only if the engine's legs say the same. An event is booked as a whole or not at all. */
#pragma once

#include "ledger_rules.h"
#include "types.h"

#include <event_bus/error.h>

struct trade {
    int64_t id; /* over all markets */
    int32_t market_id;
    int64_t trade_id, price_ticks, quantity_lots;
    enum side taker_side;
    int64_t maker_order_id, taker_order_id;
    uint64_t maker_user_id, taker_user_id;
    int64_t maker_fee, taker_fee;
    int64_t executed_at_us;
};

struct market_progress {
    int32_t market_id;
    int64_t last_posting_seq, last_seq, last_trade_id, last_price_ticks;
    int64_t dead_posting_seq; /* the last dead-lettered */
    bool changed;
};

/* What one batch of postings works on. */
struct booking {
    struct arena *arena;
    struct ledger *ledger;
    struct table *orders; /* int64_t id → struct order */
    struct trade *trades;
    size_t trade_count, trade_max;
    const int64_t *trade_ids;
    int64_t posting_seq; /* of the event that is being booked */
};

/* Books one event. *ret_booked is false when it had been booked before: nothing changes. Errors, with nothing changed:
 * REFUSED or INVALID: the event breaks a rule (dead letter; progress->dead_posting_seq is set, so that what follows it
 * waits with it, problem "parked"); FATAL: postings are missing from the log, and no dead letter explains it. */
MUST_CHECK bool posting_book(struct booking *booking, const struct market *market, struct market_progress *progress,
    const Penstock__Ledger__V1__PostingsEmitted *event, bool *ret_booked, struct error *e);
