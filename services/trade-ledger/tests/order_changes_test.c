/* What happens to one order without an execution: closing, amendments, self-trade prevention, slides; and executions of
 * orders by quote amount. Held against the engine's word, to the last minor unit. */
#include "fixture.h"
#include "posting_rules.h"

#include <criterion/criterion.h>
#include <string.h>

typedef Penstock__Ledger__V1__Posting posting;

enum { ORDER_ID = 11, USER = 1, AMEND_ID = 5 };

/* One buy of 100 lots at 50 with 5,000 set aside, 30 of them filled: 3,500 are held. An amendment to 120 at 60 is under
 * way and has 2,500 set aside: 60 × (120 - 30) = 5,400 would be needed; 6,000 are there. */
struct world {
    struct arena *arena;
    struct batch *batch;
    struct booking booking;
    struct market_progress progress;
    struct order *order;
    struct account *usd, *btc;
};

static struct world *world_new(void)
{
    struct arena *arena = arena_new();
    struct world *w = arena_alloc(arena, sizeof *w);
    *w = (struct world){ .arena = arena, .batch = fixture_batch(arena, 20) };
    w->booking = (struct booking){ .arena = arena, .ledger = w->batch->ledger, .orders = table_new(arena) };
    w->progress.market_id = BTC_USD;
    w->usd = fixture_account(w->batch, USER, ACCOUNT_USER, USD);
    w->btc = fixture_account(w->batch, USER, ACCOUNT_USER, BTC);
    w->usd->held = 6000;
    w->order = arena_alloc(arena, sizeof *w->order);
    *w->order = (struct order){ .id = ORDER_ID,
        .user_id = USER,
        .market_id = BTC_USD,
        .side = SIDE_BUY,
        .type = ORDER_LIMIT,
        .time_in_force = TIF_GTC,
        .price_ticks = 50,
        .quantity_lots = 100,
        .filled_lots = 30,
        .held_minor = 3500,
        .status = ORDER_PARTIALLY_FILLED,
        .amend = { AMEND_ID, AMEND_REQUESTED, 60, 120, 2500 } };
    *table_slot(w->booking.orders, &w->order->id, sizeof w->order->id) = w->order;
    return w;
}

/* What the engine would say of the world's order. */
struct said {
    int64_t released, filled, remaining;
    int status, reason;
    int64_t price, quantity;
    uint64_t amend_id;
};

static posting *posting_of(struct world *w, const struct said *said)
{
    posting *p = arena_alloc(w->arena, sizeof *p);
    Penstock__Ledger__V1__OrderState *state = arena_alloc(w->arena, sizeof *state);
    Penstock__Ledger__V1__Leg *leg = arena_alloc(w->arena, sizeof *leg);
    *p = (posting)PENSTOCK__LEDGER__V1__POSTING__INIT;
    *state = (Penstock__Ledger__V1__OrderState)PENSTOCK__LEDGER__V1__ORDER_STATE__INIT;
    *leg = (Penstock__Ledger__V1__Leg)PENSTOCK__LEDGER__V1__LEG__INIT;
    state->order_id = ORDER_ID;
    state->user_id = USER;
    state->status = (Penstock__Orders__V1__OrderStatus)said->status;
    state->reason = (Penstock__Orders__V1__CancelReason)said->reason;
    state->filled_lots = said->filled;
    state->remaining_lots = said->remaining;
    state->price_ticks = said->price;
    state->quantity_lots = said->quantity;
    state->amend_id = said->amend_id;
    leg->owner_id = USER;
    leg->kind = PENSTOCK__LEDGER__V1__ACCOUNT_KIND__ACCOUNT_KIND_USER;
    leg->asset_id = USD;
    leg->available_delta_minor = said->released;
    leg->held_delta_minor = -said->released;
    p->legs = arena_alloc(w->arena, sizeof *p->legs);
    p->orders = arena_alloc(w->arena, sizeof *p->orders);
    p->legs[0] = leg;
    p->orders[0] = state;
    p->n_legs = said->released != 0;
    p->n_orders = 1;
    return p;
}

static bool book(struct world *w, posting *p, struct error *e)
{
    bool booked;
    error_clear(e);
    return posting_book(&w->booking, fixture_btc_usd(), &w->progress,
        fixture_event(w->arena, fixture_btc_usd(), (uint64_t)w->progress.last_posting_seq + 1, &p, 1), &booked, e);
}

static bool says(struct world *w, struct said said, struct error *e)
{
    return book(w, posting_of(w, &said), e);
}

Test(order_changes, an_amendment_takes_effect_and_what_was_held_too_much_comes_back)
{
    struct world *w = world_new();
    struct error e;
    cr_assert(says(w, (struct said){ 600, 30, 90, ORDER_PARTIALLY_FILLED, 0, 60, 120, AMEND_ID }, &e), "%s", e.message);
    cr_expect(w->order->price_ticks == 60 && w->order->quantity_lots == 120 && w->order->held_minor == 5400);
    cr_expect(w->order->amend.status == AMEND_APPLIED && w->order->amend.hold_minor == 0);
    cr_expect(w->usd->available == 600 && w->usd->held == 5400);
    cr_expect(!says(w, (struct said){ 0, 30, 90, ORDER_PARTIALLY_FILLED, 0, 60, 120, AMEND_ID }, &e), "answered twice");
    arena_free(w->arena);
}

Test(order_changes, a_rejected_amendment_gives_back_its_hold_and_nothing_else)
{
    struct world *w = world_new();
    struct error e;
    cr_assert(says(w, (struct said){ 2500, 30, 70, ORDER_PARTIALLY_FILLED, 0, 0, 0, AMEND_ID }, &e), "%s", e.message);
    cr_expect(w->order->price_ticks == 50 && w->order->held_minor == 3500 && w->order->amend.status == AMEND_REJECTED);
    cr_expect(w->usd->available == 2500 && w->usd->held == 3500);
    arena_free(w->arena);
}

Test(order_changes, an_amendment_that_came_after_the_end_is_answered_on_the_closed_order)
{
    static const struct said answers[] = { { .released = 2500, .amend_id = AMEND_ID },
        { 2500, 30, 70, ORDER_CANCELLED, 0, 0, 0, AMEND_ID } };
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct world *w = world_new();
        struct error e;
        cr_assert(says(w, (struct said){ 3500, 30, 70, ORDER_CANCELLED, 1, 0, 0, 0 }, &e), "%s", e.message);
        cr_expect(w->usd->held == 2500 && w->order->held_minor == 0 && w->order->amend.hold_minor == 2500);
        cr_assert(says(w, answers[i], &e), "case %zu: %s", i, e.message);
        cr_expect(w->usd->held == 0 && w->usd->available == 6000 && w->order->status == ORDER_CANCELLED);
        arena_free(w->arena);
    }
}

Test(order_changes, self_trade_prevention_takes_quantity_and_gives_back_its_hold)
{
    struct world *w = world_new();
    struct error e;
    cr_assert(says(w, (struct said){ 1000, 30, 50, ORDER_PARTIALLY_FILLED, 0, 50, 80, 0 }, &e), "%s", e.message);
    cr_expect(w->order->quantity_lots == 80 && w->order->held_minor == 2500 && w->usd->available == 1000);
    cr_expect(w->order->amend.status == AMEND_REQUESTED, "the amendment is still under way");
    arena_free(w->arena);
}

Test(order_changes, a_post_only_order_may_step_back_and_only_that)
{
    struct world *w = world_new();
    struct error e;
    w->order->post_only = true;
    cr_expect(!says(w, (struct said){ 70, 30, 70, ORDER_PARTIALLY_FILLED, 0, 49, 100, 0 }, &e), "it does not slide");
    w->order->post_only_mode = POST_ONLY_SLIDE;
    cr_expect(!says(w, (struct said){ 0, 30, 70, ORDER_PARTIALLY_FILLED, 0, 51, 100, 0 }, &e), "forward");
    cr_assert(says(w, (struct said){ 70, 30, 70, ORDER_PARTIALLY_FILLED, 0, 49, 100, 0 }, &e), "%s", e.message);
    cr_expect(w->order->price_ticks == 49 && w->order->held_minor == 3430 && w->usd->available == 70);
    arena_free(w->arena);
}

Test(order_changes, every_tampered_change_is_refused_and_leaves_nothing_behind)
{
    static const struct {
        const char *what;
        struct said said;
    } cases[] = {
        { "more comes back than is left over", { 601, 30, 90, ORDER_PARTIALLY_FILLED, 0, 60, 120, AMEND_ID } },
        { "less comes back than is left over", { 599, 30, 90, ORDER_PARTIALLY_FILLED, 0, 60, 120, AMEND_ID } },
        { "another price than was asked for", { 1500, 30, 90, ORDER_PARTIALLY_FILLED, 0, 50, 120, AMEND_ID } },
        { "a better price than was asked for", { 690, 30, 90, ORDER_PARTIALLY_FILLED, 0, 59, 120, AMEND_ID } },
        { "more than was asked for", { 540, 30, 91, ORDER_PARTIALLY_FILLED, 0, 60, 121, AMEND_ID } },
        { "less than was asked for", { 660, 30, 89, ORDER_PARTIALLY_FILLED, 0, 60, 119, AMEND_ID } },
        { "an amendment nobody asked for", { 600, 30, 90, ORDER_PARTIALLY_FILLED, 0, 60, 120, 6 } },
        { "the same without naming the amendment", { 600, 30, 90, ORDER_PARTIALLY_FILLED, 0, 60, 120, 0 } },
        { "a quantity raised by itself", { 0, 30, 71, ORDER_PARTIALLY_FILLED, 0, 50, 101, 0 } },
        { "a quantity below what is filled", { 3500, 30, 0, ORDER_PARTIALLY_FILLED, 0, 50, 30, 0 } },
        { "a negative price", { 3500, 30, 70, ORDER_PARTIALLY_FILLED, 0, -50, 100, 0 } },
        { "a status that does not follow", { 600, 30, 90, ORDER_ACCEPTED, 0, 60, 120, AMEND_ID } },
        { "a fill that never was", { 540, 31, 89, ORDER_PARTIALLY_FILLED, 0, 60, 120, AMEND_ID } },
        { "a remainder that does not follow", { 600, 30, 91, ORDER_PARTIALLY_FILLED, 0, 60, 120, AMEND_ID } },
        { "a rejection that keeps the hold", { 0, 30, 70, ORDER_PARTIALLY_FILLED, 0, 0, 0, AMEND_ID } },
        { "a rejection that releases the order's hold too",
            { 6000, 30, 70, ORDER_PARTIALLY_FILLED, 0, 0, 0, AMEND_ID } },
        { "a rejection that says the order is gone", { .released = 2500, .amend_id = AMEND_ID } },
        { "closing takes the amendment's hold", { 6000, 30, 70, ORDER_CANCELLED, 1, 0, 0, 0 } },
        { "rejecting an order with fills", { 3500, 30, 70, ORDER_REJECTED, 9, 0, 0, 0 } },
        { "nothing at all", { 0, 30, 70, ORDER_PARTIALLY_FILLED, 0, 0, 0, 0 } },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world *w = world_new();
        struct order before = *w->order;
        struct error e;
        cr_expect(!says(w, cases[i].said, &e) && e.kind == ERROR_REFUSED, "%s was booked", cases[i].what);
        cr_expect(memcmp(&before, w->order, sizeof before) == 0 && w->usd->held == 6000 && w->usd->available == 0 &&
                      w->batch->ledger->journal_count == 0,
            "%s left something behind", cases[i].what);
        arena_free(w->arena);
    }
}

/* ---- By quote amount: 1,000 to spend at no more than 50 ---- */

static struct order *quote_buy(struct world *w)
{
    w->order->type = ORDER_MARKET;
    w->order->time_in_force = TIF_IOC;
    w->order->quote_minor = w->order->held_minor = w->usd->held = 1000;
    w->order->quantity_lots = w->order->filled_lots = 0;
    w->order->status = ORDER_ACCEPTED;
    w->order->amend.status = AMEND_NONE;
    w->order->amend.hold_minor = 0;
    w->booking.trades = arena_alloc(w->arena, 4 * sizeof(struct trade));
    w->booking.trade_max = 4;
    w->booking.trade_ids = w->batch->order_ids;
    fixture_account(w->batch, 0, ACCOUNT_FEES, USD);
    fixture_account(w->batch, 0, ACCOUNT_FEES, BTC);
    return w->order;
}

static struct order *seller(struct world *w)
{
    struct order *sell = arena_alloc(w->arena, sizeof *sell);
    *sell = (struct order){ .id = 12,
        .user_id = 2,
        .market_id = BTC_USD,
        .side = SIDE_SELL,
        .type = ORDER_LIMIT,
        .time_in_force = TIF_GTC,
        .price_ticks = 40,
        .quantity_lots = 1000,
        .held_minor = 100000,
        .status = ORDER_ACCEPTED };
    fixture_account(w->batch, 2, ACCOUNT_USER, BTC)->held = 100000;
    fixture_account(w->batch, 2, ACCOUNT_USER, USD);
    *table_slot(w->booking.orders, &sell->id, sizeof sell->id) = sell;
    return sell;
}

/* The fixture computes with a limit: that of a buy by quote amount is the fill's price, and nothing remains. */
static posting *quote_fill(struct world *w, struct order *buy, struct order *sell, int64_t lots, uint64_t trade_id)
{
    struct order as_limit = *buy;
    as_limit.price_ticks = sell->price_ticks;
    struct fixture_fill fill = { fixture_btc_usd(), sell, &as_limit, sell->price_ticks, lots, trade_id, 0, 0 };
    posting *p = fixture_fill_posting(w->arena, &fill);
    p->orders[1]->remaining_lots = 0;
    p->orders[1]->status = buy->held_minor == lots * sell->price_ticks
                               ? PENSTOCK__ORDERS__V1__ORDER_STATUS__ORDER_STATUS_FILLED
                               : PENSTOCK__ORDERS__V1__ORDER_STATUS__ORDER_STATUS_PARTIALLY_FILLED;
    return p;
}

Test(order_changes, a_buy_by_quote_amount_pays_out_of_its_amount_and_gives_back_the_rest)
{
    struct world *w = world_new();
    struct order *buy = quote_buy(w), *sell = seller(w);
    struct error e;
    cr_assert(book(w, quote_fill(w, buy, sell, 24, 1), &e), "%s", e.message);
    cr_expect(buy->held_minor == 40 && buy->filled_lots == 24 && w->usd->held == 40 && w->usd->available == 0);
    cr_expect(w->btc->available == 2400 && buy->status == ORDER_PARTIALLY_FILLED);
    cr_assert(says(w, (struct said){ 40, 24, 0, ORDER_CANCELLED, 15, 0, 0, 0 }, &e), "%s", e.message);
    cr_expect(w->usd->held == 0 && w->usd->available == 40);
    arena_free(w->arena);
}

Test(order_changes, a_buy_by_quote_amount_never_pays_more_than_its_amount_nor_above_its_protection)
{
    struct world *w = world_new();
    struct order *buy = quote_buy(w), *sell = seller(w);
    struct error e;
    cr_expect(!book(w, quote_fill(w, buy, sell, 26, 1), &e) && e.kind == ERROR_REFUSED, "1,040 of 1,000");
    sell->price_ticks = 51;
    cr_expect(!book(w, quote_fill(w, buy, sell, 1, 1), &e) && e.kind == ERROR_REFUSED, "51 of at most 50");
    sell->price_ticks = 40;
    cr_assert(book(w, quote_fill(w, buy, sell, 25, 1), &e), "%s", e.message);
    cr_expect(buy->status == ORDER_FILLED && buy->held_minor == 0);
    arena_free(w->arena);
}
