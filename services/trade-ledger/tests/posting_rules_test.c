#include "fixture.h"
#include "posting_rules.h"

#include <criterion/criterion.h>
#include <string.h>

typedef Penstock__Ledger__V1__Posting posting;
typedef Penstock__Ledger__V1__PostingsEmitted postings_event;

/* Ann (1) buys 0.5 BTC at 65,000.00 and Bob (2) sells 0.2 at 64,000.00; both holds are in place. */
struct world {
    struct arena *arena;
    struct batch *batch;
    struct booking booking;
    struct market_progress progress;
    struct order *buy, *sell;
    struct account *ann_usd, *ann_btc, *bob_usd, *bob_btc;
};

static struct order *add_order(struct world *w, int64_t id, uint64_t user_id, enum side side, int64_t price_ticks,
    int64_t lots, struct account *account)
{
    struct order *order = arena_alloc(w->arena, sizeof *order);
    *order = (struct order){ .id = id,
        .user_id = user_id,
        .market_id = BTC_USD,
        .side = side,
        .type = ORDER_LIMIT,
        .time_in_force = TIF_GTC,
        .price_ticks = price_ticks,
        .quantity_lots = lots,
        .status = ORDER_ACCEPTED,
        .maker_fee_ppm = 1000,
        .taker_fee_ppm = 2000 };
    order->held_minor = side == SIDE_BUY ? price_ticks * lots : lots * 100;
    account->held += order->held_minor;
    *table_slot(w->booking.orders, &order->id, sizeof order->id) = order;
    return order;
}

static struct world *world_new(void)
{
    struct arena *arena = arena_new();
    struct world *w = arena_alloc(arena, sizeof *w);
    *w = (struct world){ .arena = arena, .batch = fixture_batch(arena, 50) };
    int64_t *ids = arena_alloc(arena, 50 * sizeof *ids);
    for (int64_t i = 0; i < 50; i++)
        ids[i] = i + 1;
    w->booking = (struct booking){ .arena = arena,
        .ledger = w->batch->ledger,
        .orders = table_new(arena),
        .trades = arena_alloc(arena, 50 * sizeof(struct trade)),
        .trade_max = 50,
        .trade_ids = ids };
    w->progress.market_id = BTC_USD;
    w->ann_usd = fixture_account(w->batch, 1, ACCOUNT_USER, USD);
    w->ann_btc = fixture_account(w->batch, 1, ACCOUNT_USER, BTC);
    w->bob_usd = fixture_account(w->batch, 2, ACCOUNT_USER, USD);
    w->bob_btc = fixture_account(w->batch, 2, ACCOUNT_USER, BTC);
    fixture_account(w->batch, 0, ACCOUNT_FEES, USD);
    fixture_account(w->batch, 0, ACCOUNT_FEES, BTC);
    w->buy = add_order(w, 11, 1, SIDE_BUY, 6500000, 500000, w->ann_usd);
    w->sell = add_order(w, 12, 2, SIDE_SELL, 6400000, 200000, w->bob_btc);
    return w;
}

/* Bob's sell takes 0.2 at Ann's 65,000.00, with fees of 1,000 and 2,000 ppm. */
static posting *good_fill(struct world *w)
{
    struct fixture_fill fill = { fixture_btc_usd(), w->buy, w->sell, 6500000, 200000, 1, 20000, 2600000000 };
    return fixture_fill_posting(w->arena, &fill);
}

static bool book(struct world *w, uint64_t seq, posting **postings, size_t count, bool *ret_booked, struct error *e)
{
    error_clear(e);
    return posting_book(&w->booking, fixture_btc_usd(), &w->progress,
        fixture_event(w->arena, fixture_btc_usd(), seq, postings, count), ret_booked, e);
}

Test(posting_rules, an_execution_and_a_release_are_booked_to_the_last_minor_unit)
{
    struct world *w = world_new();
    struct error e = { 0 };
    bool booked;
    posting *fill = good_fill(w);
    cr_assert(book(w, 1, &fill, 1, &booked, &e) && booked, "%s", e.message);
    cr_expect(w->ann_usd->available == 0 && w->ann_usd->held == 19500 * USD_UNIT);
    cr_expect(w->ann_btc->available == 20000000 - 20000);
    cr_expect(w->bob_btc->held == 0 && w->bob_usd->available == 13000 * USD_UNIT - 2600000000);
    cr_expect(w->buy->status == ORDER_PARTIALLY_FILLED && w->buy->filled_lots == 200000);
    cr_expect(w->sell->status == ORDER_FILLED && w->sell->held_minor == 0);
    cr_expect(
        w->booking.trade_count == 1 && w->progress.last_price_ticks == 6500000 && w->progress.last_posting_seq == 1);

    posting *release = fixture_release_posting(w->arena, fixture_btc_usd(), w->buy, ORDER_CANCELLED, 1);
    cr_assert(book(w, 2, &release, 1, &booked, &e) && booked, "%s", e.message);
    cr_expect(w->ann_usd->available == 19500 * USD_UNIT && w->ann_usd->held == 0);
    cr_expect(w->buy->status == ORDER_CANCELLED && w->buy->reason == 1 && w->buy->held_minor == 0);
    arena_free(w->arena);
}

Test(posting_rules, an_event_booked_before_is_passed_over)
{
    struct world *w = world_new();
    struct error e = { 0 };
    bool booked;
    posting *fill = good_fill(w);
    cr_assert(book(w, 1, &fill, 1, &booked, &e));
    cr_assert(book(w, 1, &fill, 1, &booked, &e) && !booked);
    cr_expect(w->booking.trade_count == 1 && w->ann_usd->held == 19500 * USD_UNIT);
    arena_free(w->arena);
}

Test(posting_rules, a_gap_is_fatal_unless_a_dead_letter_explains_it)
{
    struct world *w = world_new();
    struct error e = { 0 };
    bool booked;
    posting *fill = good_fill(w), *bad = good_fill(w);
    cr_expect(
        !book(w, 2, &fill, 1, &booked, &e) && e.kind == ERROR_FATAL && strcmp(e.problem, "postings-missing") == 0);

    bad->legs[0]->available_delta_minor++;
    cr_expect(!book(w, 1, &bad, 1, &booked, &e) && e.kind == ERROR_REFUSED);
    cr_expect(!book(w, 2, &fill, 1, &booked, &e) && e.kind == ERROR_REFUSED && strcmp(e.problem, "parked") == 0);
    cr_expect(book(w, 1, &fill, 1, &booked, &e) && booked, "the mended event is booked: %s", e.message);
    arena_free(w->arena);
}

static void steal_from_buyer(posting *p)
{
    p->legs[0]->available_delta_minor -= 100;
    p->legs[3]->available_delta_minor += 100;
}

static void pay_a_stranger(posting *p)
{
    p->legs[3]->owner_id = 99;
}

static void pay_the_funding_account(posting *p)
{
    p->legs[3]->kind = PENSTOCK__LEDGER__V1__ACCOUNT_KIND__ACCOUNT_KIND_FUNDING;
    p->legs[3]->owner_id = 0;
}

static void lose_a_leg(posting *p)
{
    p->n_legs--;
}

static void take_no_hold(posting *p)
{
    p->legs[2]->held_delta_minor = 0;
    p->legs[2]->available_delta_minor = -20000000;
}

static void price_above_the_buyer(posting *p)
{
    p->price_ticks = 6500001;
}

static void price_below_the_seller(posting *p)
{
    p->price_ticks = 6399999;
}

static void fill_too_much(posting *p)
{
    p->quantity_lots = 200001;
}

static void fill_nothing(posting *p)
{
    p->quantity_lots = 0;
}

static void fill_overflows(posting *p)
{
    p->quantity_lots = INT64_MAX;
}

static void unknown_order(posting *p)
{
    p->maker_order_id = 999;
}

static void same_order_twice(posting *p)
{
    p->taker_order_id = p->maker_order_id;
}

static void wrong_side(posting *p)
{
    p->taker_side = PENSTOCK__ORDERS__V1__SIDE__SIDE_BUY;
}

static void wrong_user(posting *p)
{
    p->orders[0]->user_id = 3;
}

static void wrong_fill_state(posting *p)
{
    p->orders[0]->filled_lots++;
}

static void wrong_status(posting *p)
{
    p->orders[1]->status = PENSTOCK__ORDERS__V1__ORDER_STATUS__ORDER_STATUS_PARTIALLY_FILLED;
}

static void state_missing(posting *p)
{
    p->n_orders = 1;
}

static void fee_above_the_ceiling(posting *p)
{
    p->taker_fee_minor += 1;
    p->legs[3]->available_delta_minor -= 1;
    p->legs[5]->available_delta_minor += 1;
    p->taker_fee_minor += 2600000000;
    p->legs[3]->available_delta_minor -= 2600000000;
    p->legs[5]->available_delta_minor += 2600000000;
}

static void negative_fee(posting *p)
{
    p->maker_fee_minor = -20000;
    p->legs[1]->available_delta_minor += 40000;
    p->legs[4]->available_delta_minor -= 40000;
}

static void trade_id_jumps(posting *p)
{
    p->trade_id = 2;
}

static void legs_out_of_range(posting *p)
{
    p->legs[0]->held_delta_minor = INT64_MIN;
}

static bool same_state(const struct order *a, const struct order *b)
{
    return a->filled_lots == b->filled_lots && a->held_minor == b->held_minor && a->status == b->status &&
           a->reason == b->reason && a->updated_at_us == b->updated_at_us && a->changed == b->changed;
}

Test(posting_rules, every_tampered_execution_is_refused_and_leaves_nothing_behind)
{
    static const struct {
        const char *what;
        void (*tamper)(posting *);
    } cases[] = {
        { "a leg that moves money from the buyer to the seller", steal_from_buyer },
        { "a leg that pays someone else", pay_a_stranger },
        { "a leg that pays the funding account", pay_the_funding_account },
        { "a missing leg", lose_a_leg },
        { "available taken instead of the hold", take_no_hold },
        { "a price above the buyer's limit", price_above_the_buyer },
        { "a price below the seller's limit", price_below_the_seller },
        { "more than the order has left", fill_too_much },
        { "no quantity", fill_nothing },
        { "a quantity that overflows", fill_overflows },
        { "an order that does not exist", unknown_order },
        { "an order against itself", same_order_twice },
        { "the wrong side", wrong_side },
        { "another user's order", wrong_user },
        { "a fill state that does not follow", wrong_fill_state },
        { "a status that does not follow", wrong_status },
        { "a missing order state", state_missing },
        { "a fee above the ceiling", fee_above_the_ceiling },
        { "a negative fee", negative_fee },
        { "a trade id out of turn", trade_id_jumps },
        { "a leg out of range", legs_out_of_range },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world *w = world_new();
        struct error e = { 0 };
        bool booked;
        posting *fill = good_fill(w);
        struct order buy = *w->buy, sell = *w->sell;
        cases[i].tamper(fill);
        cr_expect(!book(w, 1, &fill, 1, &booked, &e) && !booked, "%s was booked", cases[i].what);
        cr_expect(
            e.kind == ERROR_REFUSED && strcmp(e.problem, "posting-refused") == 0, "%s: %s", cases[i].what, e.message);
        cr_expect(same_state(&buy, w->buy) && same_state(&sell, w->sell) && w->ann_usd->held == 32500 * USD_UNIT &&
                      w->bob_usd->available == 0 && w->batch->ledger->journal_count == 0 &&
                      w->booking.trade_count == 0 && w->progress.last_posting_seq == 0,
            "%s left something behind", cases[i].what);
        arena_free(w->arena);
    }
}

Test(posting_rules, an_event_whose_last_posting_is_bad_leaves_its_first_unbooked)
{
    struct world *w = world_new();
    struct error e = { 0 };
    bool booked;
    posting *postings[] = { good_fill(w), NULL };
    struct order after = *w->buy;
    after.filled_lots = 200000;
    postings[1] = fixture_release_posting(w->arena, fixture_btc_usd(), &after, ORDER_CANCELLED, 2);
    postings[1]->legs[0]->available_delta_minor--;
    postings[1]->legs[0]->held_delta_minor++;
    cr_assert(!book(w, 1, postings, 2, &booked, &e));
    cr_expect(w->buy->filled_lots == 0 && w->ann_usd->held == 32500 * USD_UNIT && w->ann_btc->available == 0 &&
              w->progress.last_trade_id == 0 && w->progress.last_price_ticks == 0);
    postings[1]->legs[0]->available_delta_minor++;
    postings[1]->legs[0]->held_delta_minor--;
    cr_assert(book(w, 1, postings, 2, &booked, &e) && booked, "%s", e.message);
    cr_expect(w->buy->status == ORDER_CANCELLED && w->ann_usd->available == 19500 * USD_UNIT);
    arena_free(w->arena);
}

static void release_more(posting *p)
{
    p->legs[0]->available_delta_minor += 1;
    p->legs[0]->held_delta_minor -= 1;
}

static void release_to_another(posting *p)
{
    p->legs[0]->owner_id = 2;
}

static void release_unbalanced(posting *p)
{
    p->legs[0]->available_delta_minor += 1;
}

static void release_as_filled(posting *p)
{
    p->orders[0]->status = PENSTOCK__ORDERS__V1__ORDER_STATUS__ORDER_STATUS_FILLED;
}

static void release_for_no_known_reason(posting *p)
{
    p->orders[0]->reason = (Penstock__Orders__V1__CancelReason)77;
}

static void release_with_fills(posting *p)
{
    p->orders[0]->filled_lots = 1;
}

Test(posting_rules, every_tampered_release_is_refused)
{
    static void (*const cases[])(posting *) = { release_more, release_to_another, release_unbalanced, release_as_filled,
        release_for_no_known_reason, release_with_fills };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world *w = world_new();
        struct error e = { 0 };
        bool booked;
        posting *release = fixture_release_posting(w->arena, fixture_btc_usd(), w->buy, ORDER_CANCELLED, 1);
        cases[i](release);
        cr_expect(!book(w, 1, &release, 1, &booked, &e) && e.kind == ERROR_REFUSED, "case %zu", i);
        cr_expect(w->buy->status == ORDER_ACCEPTED && w->ann_usd->held == 32500 * USD_UNIT, "case %zu", i);
        arena_free(w->arena);
    }
}

Test(posting_rules, a_closed_order_is_neither_filled_nor_released_again)
{
    struct world *w = world_new();
    struct error e = { 0 };
    bool booked;
    posting *release = fixture_release_posting(w->arena, fixture_btc_usd(), w->buy, ORDER_CANCELLED, 1);
    cr_assert(book(w, 1, &release, 1, &booked, &e));
    cr_expect(!book(w, 2, &release, 1, &booked, &e) && e.kind == ERROR_REFUSED);
    posting *fill = good_fill(w);
    cr_expect(!book(w, 2, &fill, 1, &booked, &e) && e.kind == ERROR_REFUSED);
    arena_free(w->arena);
}
