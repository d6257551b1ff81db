/* The log's own arithmetic, and that each kind of contradiction is found. */
#include "log_state.h"

#include "ledger_v1.pb-c.h"
#include "markets_v1.pb-c.h"
#include "orders_v1.pb-c.h"
#include "topups_v1.pb-c.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { USER = PENSTOCK__LEDGER__V1__ACCOUNT_KIND__ACCOUNT_KIND_USER, USD = 1, BTC = 2 };

static uint8_t encoded[4096];
static int offset;

static bool apply(
    struct log_state *state, const char *topic, const ProtobufCMessage *message, const char *id, struct error *e)
{
    struct event event = {
        .topic = topic, .offset = offset++, .id = id, .source = "/test", .subject = "", .traceparent = ""
    };
    event.type = message->descriptor->name;
    event.value = (struct bytes){ encoded, protobuf_c_message_pack(message, encoded) };
    memset(e, 0, sizeof *e);
    return log_state_apply(state, &event, e);
}

static void open_market(struct log_state *state)
{
    struct error e;
    Penstock__Markets__V1__MarketConfigured m = PENSTOCK__MARKETS__V1__MARKET_CONFIGURED__INIT;
    m.symbol = (char *)"BTC-USD";
    m.base_asset_id = BTC;
    m.quote_asset_id = USD;
    m.lot_minor = 100;
    m.notional_unit_minor = 1;
    cr_assert(apply(state, "markets.v1", &m.base, "m-1", &e), "%s", e.message);
}

static bool accept_order(struct log_state *state, uint64_t id, int64_t hold, const char *ce_id, struct error *e)
{
    Penstock__Orders__V1__OrderAccepted m = PENSTOCK__ORDERS__V1__ORDER_ACCEPTED__INIT;
    m.order_id = id;
    m.user_id = 7;
    m.symbol = (char *)"BTC-USD";
    m.side = PENSTOCK__ORDERS__V1__SIDE__SIDE_BUY;
    m.price_ticks = 1000;
    m.quantity_lots = 5;
    m.hold_minor = hold;
    return apply(state, "orders.accepted.v1", &m.base, ce_id, e);
}

/* Releases `amount` of user 7's hold as posting `seq`; `stolen` unbalances it. */
static bool release(struct log_state *state, uint64_t seq, int64_t amount, int64_t stolen, struct error *e)
{
    char id[32];
    snprintf(id, sizeof id, "p-%llu", (unsigned long long)seq);
    Penstock__Ledger__V1__Leg leg = PENSTOCK__LEDGER__V1__LEG__INIT;
    leg.owner_id = 7;
    leg.kind = PENSTOCK__LEDGER__V1__ACCOUNT_KIND__ACCOUNT_KIND_USER;
    leg.asset_id = USD;
    leg.available_delta_minor = amount + stolen;
    leg.held_delta_minor = -amount;
    Penstock__Ledger__V1__OrderState order = PENSTOCK__LEDGER__V1__ORDER_STATE__INIT;
    order.order_id = 1;
    order.status = PENSTOCK__ORDERS__V1__ORDER_STATUS__ORDER_STATUS_CANCELLED;
    Penstock__Ledger__V1__Posting posting = PENSTOCK__LEDGER__V1__POSTING__INIT;
    posting.n_legs = 1;
    posting.legs = (Penstock__Ledger__V1__Leg *[]){ &leg };
    posting.n_orders = 1;
    posting.orders = (Penstock__Ledger__V1__OrderState *[]){ &order };
    Penstock__Ledger__V1__PostingsEmitted m = PENSTOCK__LEDGER__V1__POSTINGS_EMITTED__INIT;
    m.symbol = (char *)"BTC-USD";
    m.posting_seq = seq;
    m.n_postings = 1;
    m.postings = (Penstock__Ledger__V1__Posting *[]){ &posting };
    return apply(state, "ledger.postings.v1", &m.base, id, e);
}

Test(log_state, a_hold_and_its_release_leave_what_was_there)
{
    struct error e;
    struct log_state *state = log_state_new();
    open_market(state);
    log_state_expect_order(state, 1, 0);
    cr_assert_eq(log_state_missing_orders(state), 1);
    cr_assert(accept_order(state, 1, 5000, "o-1", &e), "%s", e.message);
    cr_assert_eq(log_state_missing_orders(state), 0);
    struct log_balance *balance = log_state_balance(state, 7, USER, USD);
    cr_assert_eq(balance->available, -5000);
    cr_assert_eq(balance->held, 5000);
    cr_assert_eq(log_order_held(state, log_state_order(state, 1)), 5000);
    log_state_market(state, "BTC-USD")->booked_posting_seq = 1;
    cr_assert(release(state, 1, 5000, 0, &e), "%s", e.message);
    balance = log_state_balance(state, 7, USER, USD);
    cr_assert_eq(balance->available, 0);
    cr_assert_eq(balance->held, 0);
    cr_assert_eq(log_order_held(state, log_state_order(state, 1)), 0);
    log_state_free(state);
}

Test(log_state, what_the_database_has_not_booked_is_not_counted)
{
    struct error e;
    struct log_state *state = log_state_new();
    open_market(state);
    cr_assert(accept_order(state, 1, 5000, "o-1", &e), "%s", e.message);
    cr_assert_eq(log_state_balance(state, 7, USER, USD)->held, 0);
    cr_assert(release(state, 1, 5000, 0, &e), "%s", e.message);
    cr_assert_eq(log_state_balance(state, 7, USER, USD)->held, 0);
    log_state_free(state);
}

Test(log_state, contradictions_are_found)
{
    struct error e;
    struct log_state *state = log_state_new();
    open_market(state);
    cr_assert(!accept_order(state, 1, 4999, "o-0", &e));
    cr_assert(strstr(e.message, "hold"), "%s", e.message);
    log_state_free(state);

    state = log_state_new();
    open_market(state);
    cr_assert(accept_order(state, 1, 5000, "o-1", &e));
    cr_assert(!accept_order(state, 2, 5000, "o-1", &e));
    cr_assert(strstr(e.message, "ce_id"), "%s", e.message);
    cr_assert(!accept_order(state, 1, 5000, "o-2", &e));
    cr_assert(strstr(e.message, "accepted twice"), "%s", e.message);
    cr_assert(!release(state, 2, 5000, 0, &e));
    cr_assert(strstr(e.message, "posting_seq"), "%s", e.message);
    log_state_market(state, "BTC-USD")->booked_posting_seq = 9;
    cr_assert(!release(state, 1, 5000, 1, &e));
    cr_assert(strstr(e.message, "sum to zero"), "%s", e.message);
    log_state_free(state);
}

Test(log_state, ten_thousand_orders_are_kept_apart)
{
    struct error e;
    struct log_state *state = log_state_new();
    open_market(state);
    for (uint64_t id = 1; id <= 10000; id++) {
        char ce_id[32];
        snprintf(ce_id, sizeof ce_id, "o-%llu", (unsigned long long)id);
        log_state_expect_order(state, id, 0);
        cr_assert(accept_order(state, id, 5000, ce_id, &e), "%s", e.message);
    }
    cr_assert_eq(log_state_balance(state, 7, USER, USD)->held, 50000000);
    for (uint64_t id = 1; id <= 10000; id++)
        cr_assert_eq(log_state_order(state, id)->order_id, id);
    log_state_free(state);
}

/* One side of a journal of `kind`: `amount` for user `owner`. */
static bool entry(struct log_state *state, int kind, uint64_t journal_id, uint64_t owner, int64_t amount,
    const char *ce_id, struct error *e)
{
    Penstock__Ledger__V1__Entry row = PENSTOCK__LEDGER__V1__ENTRY__INIT;
    row.kind = PENSTOCK__LEDGER__V1__ACCOUNT_KIND__ACCOUNT_KIND_USER;
    row.asset_id = USD;
    row.available_delta_minor = amount;
    Penstock__Ledger__V1__EntriesPosted m = PENSTOCK__LEDGER__V1__ENTRIES_POSTED__INIT;
    m.journal_id = journal_id;
    m.kind = (Penstock__Ledger__V1__JournalKind)kind;
    m.owner_id = owner;
    m.n_entries = 1;
    m.entries = (Penstock__Ledger__V1__Entry *[]){ &row };
    return apply(state, "ledger.entries.v1", &m.base, ce_id, e);
}

Test(log_state, a_transfer_counts_by_its_entries_when_the_database_has_it_and_a_trade_does_not)
{
    enum { TRADE = 3, TRANSFER = 5 };
    CLEANUP(log_state_free) struct log_state *state = log_state_new();
    struct error e;
    log_state_expect_journal(state, 40, 2);
    cr_assert(
        entry(state, TRANSFER, 40, 7, -30, "e-1", &e) && entry(state, TRANSFER, 40, 8, 30, "e-2", &e), "%s", e.message);
    cr_assert(entry(state, TRANSFER, 41, 7, -5, "e-3", &e) && entry(state, TRADE, 39, 7, -5, "e-4", &e));
    cr_expect_eq(log_state_missing_entries(state), 0);
    cr_expect_eq(log_state_balance(state, 7, USER, USD)->available, -30);
    cr_expect_eq(log_state_balance(state, 8, USER, USD)->available, 30);
}

Test(log_state, a_journal_whose_entries_do_not_sum_to_zero_or_are_too_many_is_found)
{
    enum { TRANSFER = 5 };
    CLEANUP(log_state_free) struct log_state *state = log_state_new();
    struct error e;
    log_state_expect_journal(state, 40, 2);
    cr_assert(entry(state, TRANSFER, 40, 7, -30, "e-1", &e));
    cr_expect_eq(log_state_missing_entries(state), 1);
    cr_expect(!entry(state, TRANSFER, 40, 8, 29, "e-2", &e) && strstr(e.message, "sum to zero"), "%s", e.message);
    cr_expect(!entry(state, TRANSFER, 40, 9, 1, "e-3", &e) && strstr(e.message, "more entries"), "%s", e.message);
}
