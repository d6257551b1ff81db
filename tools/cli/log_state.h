/* log_state.h -- what the Kafka log says: every order and every balance, recomputed from orders.accepted.v1,
 * ledger.postings.v1 and topups.events.v1, without the ledger's help; and from ledger.entries.v1 for the journals that
 * are the ledger's own (transfers, operators' journals, reversals), each
 * of which must sum to zero. Pure: events in, state out.
 *
 * The log may be ahead of the database that it is compared with. The caller marks what the database's snapshot holds
 * (orders, top-ups, journals, the last posting of each market); only that is counted. */
#pragma once

#include <event_bus/event.h>

struct log_state;

struct log_order {
    uint64_t order_id, user_id;
    const char *symbol; /* of the log_state */
    int64_t price_ticks, quantity_lots, filled_lots, hold_minor;
    int64_t quote_minor, spent_minor; /* of an order by quote amount; a buy's executions so far */
    int side, status;                 /* penstock.orders.v1 */
    /* The last amendment; what is set aside for it until the engine answers. */
    uint64_t amend_id, database_amend_id;
    int64_t amend_hold_minor;
    bool in_log, in_database;
    /* The engine's view, up to the cut of its sequence. */
    bool resting;
    int64_t resting_lots;
};

struct log_balance {
    uint64_t owner_id;
    int kind;
    uint32_t asset_id;
    int64_t available, held;
    bool compared;
};

struct log_market {
    char symbol[32];
    int64_t lot_minor, notional_unit_minor;
    uint32_t base_asset_id, quote_asset_id;
    uint64_t booked_posting_seq; /* the database's: later postings are not counted */
    uint64_t seen_posting_seq, seen_trade_id;
    uint64_t engine_seq; /* the engine's: later order events are not counted */
};

enum { LOG_MARKETS_MAX = 1024 };

struct log_state *log_state_new(void);
void log_state_free(struct log_state *state);
DEFINE_CLEANUP(struct log_state *, log_state_free)

/* Before the events: what the database has. */
void log_state_expect_order(struct log_state *state, uint64_t order_id, uint64_t amend_id); /* 0: never amended */
void log_state_expect_topup(struct log_state *state, uint64_t topup_id);
void log_state_expect_journal(struct log_state *state, uint64_t journal_id, size_t entries); /* of the ledger's own */
void log_state_expect_markets(struct log_state *state, size_t count);
size_t log_state_missing_markets(const struct log_state *state);
size_t log_state_missing_orders(const struct log_state *state); /* and amendments: expected, not yet in the log */
size_t log_state_missing_topups(const struct log_state *state);
size_t log_state_missing_entries(const struct log_state *state);
size_t log_state_journals(const struct log_state *state); /* expected */

/* Topic by topic, in this order: markets.v1; orders.accepted.v1; topups.events.v1; ledger.postings.v1; then
 * orders.events.v1, trades.v1 and ledger.entries.v1. false: the log contradicts itself (a ce_id twice, a gap in a
 * sequence, legs that do not sum to zero, a fill of an unknown order): *e says where. */
MUST_CHECK bool log_state_apply(struct log_state *state, const struct event *event, struct error *e);

struct log_market *log_state_market(struct log_state *state, const char *symbol); /* NULL: unknown */
struct log_market *log_state_market_at(struct log_state *state, size_t index);    /* NULL: no more */
struct log_order *log_state_order(struct log_state *state, uint64_t order_id);    /* NULL: unknown */
struct log_order *log_state_order_at(struct log_state *state, size_t index);      /* NULL: no more */
struct log_balance *log_state_balance(struct log_state *state, uint64_t owner_id, int kind, uint32_t asset_id);
struct log_balance *log_state_balance_at(struct log_state *state, size_t index);      /* NULL: no more */
int64_t log_order_held(const struct log_state *state, const struct log_order *order); /* what must still be set aside */
uint64_t log_state_events(const struct log_state *state);
