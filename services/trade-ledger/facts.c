/* The events that this service writes, one function each. */
#include "events.h"

#include "schedules.h"

#include <inttypes.h>
#include <stdio.h>

enum { KEY_MAX = 24 };

static const char *id_key(uint64_t id, char ret_key[KEY_MAX])
{
    snprintf(ret_key, KEY_MAX, "%" PRIu64, id);
    return ret_key;
}

static char *text(const char *borrowed)
{
    return (char *)(borrowed ? borrowed : "");
}

/* ret_fees must live as long as the message. */
static void order_accepted(const struct command *command, const struct order *order, const struct market *market,
    Penstock__Orders__V1__OrderAccepted *ret, Penstock__Orders__V1__FeeRates *ret_fees)
{
    *ret = (Penstock__Orders__V1__OrderAccepted)PENSTOCK__ORDERS__V1__ORDER_ACCEPTED__INIT;
    *ret_fees = (Penstock__Orders__V1__FeeRates)PENSTOCK__ORDERS__V1__FEE_RATES__INIT;
    ret->order_id = (uint64_t)order->id;
    ret->user_id = order->user_id;
    ret->symbol = (char *)market->symbol;
    ret->side = (Penstock__Orders__V1__Side)order->side;
    ret->type = (Penstock__Orders__V1__OrderType)order->type;
    ret->time_in_force = (Penstock__Orders__V1__TimeInForce)order->time_in_force;
    ret->price_ticks = order->price_ticks;
    ret->quantity_lots = order->quantity_lots;
    ret->hold_minor = order->held_minor;
    ret->post_only = order->post_only;
    ret->client_order_id = text(order->client_order_id);
    ret->accepted_at_us = order->created_at_us;
    ret->request_source = text(command->request_source);
    ret->request_id = text(command->request_id);
    ret->stop_price_ticks = order->stop_price_ticks;
    ret->quote_minor = order->quote_minor;
    ret->display_lots = order->display_lots;
    ret->expires_at_us = order->expires_at_us;
    ret->post_only_mode = (Penstock__Orders__V1__PostOnlyMode)order->post_only_mode;
    ret->self_trade_prevention = (Penstock__Orders__V1__SelfTradePrevention)order->self_trade_prevention;
    ret_fees->maker_ppm = (uint32_t)order->maker_fee_ppm;
    ret_fees->taker_ppm = (uint32_t)order->taker_fee_ppm;
    ret->fees = ret_fees;
}

void event_order_accepted(
    struct outbox *outbox, const struct command *command, const struct order *order, const struct market *market)
{
    char key[KEY_MAX];
    Penstock__Orders__V1__OrderAccepted message;
    Penstock__Orders__V1__FeeRates fees;
    order_accepted(command, order, market, &message, &fees);
    outbox_add(outbox, "orders.accepted.v1", market->symbol, &message.base, command->traceparent);
    outbox_add(outbox, "orders.events.v1", id_key(order->user_id, key), &message.base, command->traceparent);
}

void event_mass_quote_accepted(struct outbox *outbox, const struct command *command, struct order *const *orders,
    size_t count, const struct market *market, int64_t now_us)
{
    char key[KEY_MAX];
    Penstock__Orders__V1__MassQuoteAccepted message = PENSTOCK__ORDERS__V1__MASS_QUOTE_ACCEPTED__INIT;
    Penstock__Orders__V1__OrderAccepted each[BATCH_ORDERS_MAX], *pointers[BATCH_ORDERS_MAX];
    Penstock__Orders__V1__FeeRates fees[BATCH_ORDERS_MAX];
    for (size_t i = 0; i < count; i++) {
        order_accepted(command, orders[i], market, &each[i], &fees[i]);
        pointers[i] = &each[i];
    }
    message.user_id = command->user_id;
    message.symbol = (char *)market->symbol;
    message.quote_set = (uint32_t)command->many.quote_set;
    message.orders = pointers;
    message.n_orders = count;
    message.accepted_at_us = now_us;
    outbox_add(outbox, "orders.accepted.v1", market->symbol, &message.base, command->traceparent);
    for (size_t i = 0; i < count; i++)
        outbox_add(outbox, "orders.events.v1", id_key(command->user_id, key), &each[i].base, command->traceparent);
}

void event_cancel_all_accepted(
    struct outbox *outbox, const struct command *command, const struct market *market, int64_t now_us)
{
    Penstock__Orders__V1__CancelAllAccepted message = PENSTOCK__ORDERS__V1__CANCEL_ALL_ACCEPTED__INIT;
    message.user_id = command->user_id;
    message.symbol = (char *)market->symbol;
    message.accepted_at_us = now_us;
    outbox_add(outbox, "orders.accepted.v1", market->symbol, &message.base, command->traceparent);
}

void event_amend_accepted(struct outbox *outbox, const struct command *command, const struct order *order,
    const struct market *market, int64_t now_us)
{
    Penstock__Orders__V1__AmendAccepted message = PENSTOCK__ORDERS__V1__AMEND_ACCEPTED__INIT;
    message.amend_id = (uint64_t)order->amend.id;
    message.order_id = (uint64_t)order->id;
    message.user_id = order->user_id;
    message.symbol = (char *)market->symbol;
    message.side = (Penstock__Orders__V1__Side)order->side;
    message.price_ticks = order->amend.price_ticks;
    message.quantity_lots = order->amend.quantity_lots;
    message.extra_hold_minor = order->amend.hold_minor;
    message.accepted_at_us = now_us;
    message.request_source = text(command->request_source);
    message.request_id = text(command->request_id);
    outbox_add(outbox, "orders.accepted.v1", market->symbol, &message.base, command->traceparent);
}

void event_amend_rejected(struct outbox *outbox, const struct command *command, int64_t now_us)
{
    char key[KEY_MAX];
    Penstock__Orders__V1__AmendRejected message = PENSTOCK__ORDERS__V1__AMEND_REJECTED__INIT;
    message.order_id = command->amend.target.order_id;
    message.user_id = command->user_id;
    message.symbol = text(command->market ? command->market->symbol : "");
    message.problem = text(command->error.problem);
    message.message = text(command->error.message);
    message.request_source = text(command->request_source);
    message.request_id = text(command->request_id);
    message.at_us = now_us;
    outbox_add(outbox, "orders.events.v1", id_key(command->user_id, key), &message.base, command->traceparent);
}

void event_order_rejected(struct outbox *outbox, const struct command *command, int64_t now_us)
{
    char key[KEY_MAX];
    Penstock__Orders__V1__OrderRejected message = PENSTOCK__ORDERS__V1__ORDER_REJECTED__INIT;
    message.user_id = command->user_id;
    message.symbol = text(command->place.symbol);
    message.client_order_id = text(command->place.client_order_id);
    message.request_source = text(command->request_source);
    message.request_id = text(command->request_id);
    message.problem = text(command->error.problem);
    message.field = text(command->error.field);
    message.message = text(command->error.message);
    message.rejected_at_us = now_us;
    outbox_add(outbox, "orders.events.v1", id_key(command->user_id, key), &message.base, command->traceparent);
}

void event_cancel_accepted(struct outbox *outbox, const struct command *command, const struct order *order,
    const struct market *market, int64_t now_us)
{
    Penstock__Orders__V1__CancelAccepted message = PENSTOCK__ORDERS__V1__CANCEL_ACCEPTED__INIT;
    message.order_id = (uint64_t)order->id;
    message.user_id = order->user_id;
    message.symbol = (char *)market->symbol;
    message.accepted_at_us = now_us;
    outbox_add(outbox, "orders.accepted.v1", market->symbol, &message.base, command->traceparent);
}

void event_cancel_rejected(struct outbox *outbox, const struct command *command, int64_t now_us)
{
    char key[KEY_MAX];
    Penstock__Orders__V1__CancelRejected message = PENSTOCK__ORDERS__V1__CANCEL_REJECTED__INIT;
    message.order_id = command->kind == COMMAND_CANCEL_ORDER ? command->cancel.order_id : 0;
    message.user_id = command->user_id;
    message.symbol = text(command->market ? command->market->symbol : "");
    message.problem = text(command->error.problem);
    message.message = text(command->error.message);
    message.request_source = text(command->request_source);
    message.request_id = text(command->request_id);
    message.at_us = now_us;
    outbox_add(outbox, "orders.events.v1", id_key(command->user_id, key), &message.base, command->traceparent);
}

void event_topup_booked(struct outbox *outbox, const struct command *command, const struct topup *topup,
    int64_t available_minor, int64_t now_us)
{
    char key[KEY_MAX];
    Penstock__Topups__V1__TopupBooked message = PENSTOCK__TOPUPS__V1__TOPUP_BOOKED__INIT;
    message.topup_id = (uint64_t)topup->id;
    message.user_id = topup->user_id;
    message.asset_id = (uint32_t)topup->asset_id;
    message.asset = (char *)command->asset->code;
    message.amount_minor = topup->amount;
    message.available_minor = available_minor;
    message.reference = text(topup->reference);
    message.request_source = text(command->request_source);
    message.request_id = text(command->request_id);
    message.booked_at_us = now_us;
    outbox_add(outbox, "topups.events.v1", id_key(topup->user_id, key), &message.base, command->traceparent);
}

void event_topup_rejected(struct outbox *outbox, const struct command *command, int64_t now_us)
{
    char key[KEY_MAX];
    Penstock__Topups__V1__TopupRejected message = PENSTOCK__TOPUPS__V1__TOPUP_REJECTED__INIT;
    message.user_id = command->user_id;
    message.currency = text(command->topup.currency);
    message.amount = text(command->topup.amount);
    message.request_source = text(command->request_source);
    message.request_id = text(command->request_id);
    message.problem = text(command->error.problem);
    message.field = text(command->error.field);
    message.message = text(command->error.message);
    message.rejected_at_us = now_us;
    outbox_add(outbox, "topups.events.v1", id_key(command->user_id, key), &message.base, command->traceparent);
}

static void entry_message(const struct markets *markets, const struct entry *entry, Penstock__Ledger__V1__Entry *ret)
{
    *ret = (Penstock__Ledger__V1__Entry)PENSTOCK__LEDGER__V1__ENTRY__INIT;
    ret->entry_id = (uint64_t)entry->id;
    ret->account_id = (uint64_t)entry->account->id;
    ret->asset_id = (uint32_t)entry->account->asset_id;
    ret->asset = (char *)asset_by_id(markets, entry->account->asset_id)->code;
    ret->kind = (Penstock__Ledger__V1__AccountKind)entry->account->kind;
    ret->available_delta_minor = entry->available_delta;
    ret->held_delta_minor = entry->held_delta;
    ret->available_minor = entry->available_after;
    ret->held_minor = entry->held_after;
}

static void owner_entries_posted(struct outbox *outbox, const struct markets *markets, const struct ledger *ledger,
    const struct journal *journal, uint64_t owner_id, int64_t now_us, const char *traceparent)
{
    char key[KEY_MAX];
    Penstock__Ledger__V1__Entry entries[LEDGER_LEGS_MAX], *pointers[LEDGER_LEGS_MAX];
    Penstock__Ledger__V1__EntriesPosted message = PENSTOCK__LEDGER__V1__ENTRIES_POSTED__INIT;
    for (size_t i = 0; i < journal->entry_count; i++) {
        const struct entry *entry = &ledger->entries[journal->first_entry + i];
        if (entry->account->owner_id != owner_id)
            continue;
        entry_message(markets, entry, &entries[message.n_entries]);
        pointers[message.n_entries] = &entries[message.n_entries];
        message.n_entries++;
    }
    message.entries = pointers;
    message.journal_id = (uint64_t)journal->id;
    message.kind = (Penstock__Ledger__V1__JournalKind)journal->kind;
    message.owner_id = owner_id;
    message.reference = (char *)journal->reference;
    message.posted_at_us = now_us;
    message.cause = text(journal->cause);
    message.note = text(journal->note);
    message.effective_at_us = journal->effective_at_us;
    outbox_add(outbox, "ledger.entries.v1", id_key(owner_id, key), &message.base, traceparent);
}

void event_entries_posted(struct outbox *outbox, const struct markets *markets, const struct ledger *ledger,
    const struct journal *journal, int64_t now_us, const char *traceparent)
{
    for (size_t i = 0; i < journal->entry_count; i++) {
        uint64_t owner_id = ledger->entries[journal->first_entry + i].account->owner_id;
        bool told = false;
        for (size_t j = 0; j < i && !told; j++)
            told = ledger->entries[journal->first_entry + j].account->owner_id == owner_id;
        if (!told)
            owner_entries_posted(outbox, markets, ledger, journal, owner_id, now_us, traceparent);
    }
}

void event_account_changed(struct outbox *outbox, const struct markets *markets, const struct account *account,
    const struct account_change *change, int64_t now_us, const char *traceparent)
{
    char key[KEY_MAX];
    Penstock__Ledger__V1__AccountChanged message = PENSTOCK__LEDGER__V1__ACCOUNT_CHANGED__INIT;
    message.account_id = (uint64_t)account->id;
    message.owner_id = account->owner_id;
    message.kind = (Penstock__Ledger__V1__AccountKind)account->kind;
    message.asset_id = (uint32_t)account->asset_id;
    message.asset = (char *)asset_by_id(markets, account->asset_id)->code;
    message.status = (Penstock__Ledger__V1__AccountStatus)change->status;
    message.overdraft_minor = change->overdraft_minor;
    message.changed_by = change->changed_by;
    message.reason = text(change->reason);
    message.changed_at_us = now_us;
    outbox_add(outbox, "accounts.events.v1", id_key(account->owner_id, key), &message.base, traceparent);
}

void event_scheduled_transfer_failed(struct outbox *outbox, const struct scheduled *scheduled, int64_t occurrence,
    int32_t attempt, const struct error *why, int64_t now_us)
{
    char key[KEY_MAX];
    const struct schedule *schedule = &scheduled->schedule;
    Penstock__Ledger__V1__ScheduledTransferFailed message = PENSTOCK__LEDGER__V1__SCHEDULED_TRANSFER_FAILED__INIT;
    message.schedule_id = (uint64_t)scheduled->id;
    message.user_id = scheduled->user_id;
    message.to_user_id = scheduled->to_user_id;
    message.asset_id = (uint32_t)scheduled->asset->id;
    message.asset = (char *)scheduled->asset->code;
    message.amount_minor = scheduled->amount;
    message.occurrence = (uint64_t)occurrence;
    message.attempt = (uint32_t)attempt;
    message.problem = text(why->problem);
    message.message = text(why->message);
    message.status = (Penstock__Ledger__V1__ScheduleStatus)schedule->status;
    message.next_attempt_at_us = schedule->status == SCHEDULE_ACTIVE ? schedule->next_us : 0;
    message.given_up = schedule->occurrence > occurrence;
    message.at_us = now_us;
    outbox_add(outbox, "accounts.events.v1", id_key(scheduled->user_id, key), &message.base, NULL);
}

void event_reference_price_set(struct outbox *outbox, const struct market *market, int64_t price_ticks, int64_t now_us)
{
    Penstock__Markets__V1__ReferencePriceSet message = PENSTOCK__MARKETS__V1__REFERENCE_PRICE_SET__INIT;
    message.symbol = (char *)market->symbol;
    message.price_ticks = price_ticks;
    message.at_us = now_us;
    outbox_add(outbox, "orders.accepted.v1", market->symbol, &message.base, NULL);
}

void event_kill_switch_set(
    struct outbox *outbox, uint64_t user_id, const struct market *market, bool engaged, int64_t now_us)
{
    Penstock__Orders__V1__KillSwitchSet message = PENSTOCK__ORDERS__V1__KILL_SWITCH_SET__INIT;
    message.user_id = user_id;
    message.symbol = (char *)market->symbol;
    message.engaged = engaged;
    message.accepted_at_us = now_us;
    outbox_add(outbox, "orders.accepted.v1", market->symbol, &message.base, NULL);
}

void event_time_ticked(struct outbox *outbox, const struct market *market, int64_t now_us)
{
    Penstock__Orders__V1__TimeTicked message = PENSTOCK__ORDERS__V1__TIME_TICKED__INIT;
    message.symbol = (char *)market->symbol;
    message.now_us = now_us;
    outbox_add(outbox, "orders.accepted.v1", market->symbol, &message.base, NULL);
}
