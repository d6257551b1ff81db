/* registry.c -- a message that may be the value of an event stands here once. */
#include "registry.h"

#include "bus_v1.pb-c.h"
#include "identity_v1.pb-c.h"
#include "ledger_v1.pb-c.h"
#include "market_data_v1.pb-c.h"
#include "markets_v1.pb-c.h"
#include "orders_v1.pb-c.h"
#include "topups_v1.pb-c.h"
#include "trades_v1.pb-c.h"

const ProtobufCMessageDescriptor *const proto_registry[] = {
    &penstock__bus__v1__outbox_position__descriptor,
    &penstock__identity__v1__user_signed_up__descriptor,
    &penstock__ledger__v1__account_changed__descriptor,
    &penstock__ledger__v1__entries_posted__descriptor,
    &penstock__ledger__v1__postings_emitted__descriptor,
    &penstock__ledger__v1__scheduled_transfer_failed__descriptor,
    &penstock__market_data__v1__book_changed__descriptor,
    &penstock__market_data__v1__book_orders_changed__descriptor,
    &penstock__markets__v1__asset_defined__descriptor,
    &penstock__markets__v1__market_configured__descriptor,
    &penstock__markets__v1__reference_price_set__descriptor,
    &penstock__orders__v1__amend_accepted__descriptor,
    &penstock__orders__v1__amend_order__descriptor,
    &penstock__orders__v1__amend_rejected__descriptor,
    &penstock__orders__v1__cancel_accepted__descriptor,
    &penstock__orders__v1__cancel_all_accepted__descriptor,
    &penstock__orders__v1__cancel_all_orders__descriptor,
    &penstock__orders__v1__cancel_order__descriptor,
    &penstock__orders__v1__cancel_rejected__descriptor,
    &penstock__orders__v1__kill_switch_set__descriptor,
    &penstock__orders__v1__mass_quote_accepted__descriptor,
    &penstock__orders__v1__order_accepted__descriptor,
    &penstock__orders__v1__order_amended__descriptor,
    &penstock__orders__v1__order_cancelled__descriptor,
    &penstock__orders__v1__order_filled__descriptor,
    &penstock__orders__v1__order_opened__descriptor,
    &penstock__orders__v1__order_rejected__descriptor,
    &penstock__orders__v1__order_triggered__descriptor,
    &penstock__orders__v1__place_order__descriptor,
    &penstock__orders__v1__time_ticked__descriptor,
    &penstock__topups__v1__topup_booked__descriptor,
    &penstock__topups__v1__topup_rejected__descriptor,
    &penstock__topups__v1__topup_requested__descriptor,
    &penstock__trades__v1__trade_executed__descriptor,
    NULL,
};
