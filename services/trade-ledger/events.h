/* events.h -- Kafka's side. In: requests become commands, postings are booked. Out: each fact as its event, into the
 * outbox. */
#pragma once

#include "batch.h"
#include "posting_rules.h"

#include <event_bus/consumer.h>

/* Subscriptions' handlers (event_bus/consumer.h); context is the service's struct trade_ledger. */
bool events_requests(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e);
bool events_postings(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e);

bool events_users(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e);

/* To orders.accepted.v1 for the engine and to orders.events.v1 for the user. */
void event_order_accepted(
    struct outbox *outbox, const struct command *command, const struct order *order, const struct market *market);
void event_order_rejected(struct outbox *outbox, const struct command *command, int64_t now_us);
/* The whole to the engine, each order to the user. */
void event_mass_quote_accepted(struct outbox *outbox, const struct command *command, struct order *const *orders,
    size_t count, const struct market *market, int64_t now_us);
void event_cancel_all_accepted(
    struct outbox *outbox, const struct command *command, const struct market *market, int64_t now_us);
void event_amend_accepted(struct outbox *outbox, const struct command *command, const struct order *order,
    const struct market *market, int64_t now_us);
void event_amend_rejected(struct outbox *outbox, const struct command *command, int64_t now_us);
void event_cancel_accepted(struct outbox *outbox, const struct command *command, const struct order *order,
    const struct market *market, int64_t now_us);
/* Of one order, or of all. */
void event_cancel_rejected(struct outbox *outbox, const struct command *command, int64_t now_us);
void event_topup_booked(struct outbox *outbox, const struct command *command, const struct topup *topup,
    int64_t available_minor, int64_t now_us);
void event_topup_rejected(struct outbox *outbox, const struct command *command, int64_t now_us);

/* One event for each owner of the journal's accounts. */
void event_entries_posted(struct outbox *outbox, const struct markets *markets, const struct ledger *ledger,
    const struct journal *journal, int64_t now_us, const char *traceparent);

void event_account_changed(struct outbox *outbox, const struct markets *markets, const struct account *account,
    const struct account_change *change, int64_t now_us, const char *traceparent);

/* As it is after the attempt. */
struct scheduled;
void event_scheduled_transfer_failed(struct outbox *outbox, const struct scheduled *scheduled, int64_t occurrence,
    int32_t attempt, const struct error *why, int64_t now_us);

/* Without a request behind them. */
void event_reference_price_set(struct outbox *outbox, const struct market *market, int64_t price_ticks, int64_t now_us);
void event_kill_switch_set(
    struct outbox *outbox, uint64_t user_id, const struct market *market, bool engaged, int64_t now_us);
void event_time_ticked(struct outbox *outbox, const struct market *market, int64_t now_us);
