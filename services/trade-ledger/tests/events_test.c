/* Kafka's requests and postings on a real Postgres, handed over as the consumer does. */
#include "../../chassis/metrics.h"
#include "fixture.h"
#include "testing.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <topups_v1.pb-c.h>

TestSuite(requests, .fini = world_end);
TestSuite(postings, .fini = world_end);

typedef Penstock__Ledger__V1__Posting posting;

static struct delivery place_request(const char *id, uint64_t user_id, const char *price, const char *client_order_id)
{
    Penstock__Orders__V1__PlaceOrder message = PENSTOCK__ORDERS__V1__PLACE_ORDER__INIT;
    message.client_id = user_id;
    message.symbol = (char *)"BTC-USD";
    message.side = PENSTOCK__ORDERS__V1__SIDE__SIDE_BUY;
    message.type = PENSTOCK__ORDERS__V1__ORDER_TYPE__ORDER_TYPE_LIMIT;
    message.price = (char *)price;
    message.quantity = (char *)"1";
    message.client_order_id = (char *)client_order_id;
    return delivery_of("orders.requests.v1", "/test", id, &message.base);
}

static struct delivery topup_request(const char *id, uint64_t user_id, const char *amount)
{
    Penstock__Topups__V1__TopupRequested message = PENSTOCK__TOPUPS__V1__TOPUP_REQUESTED__INIT;
    message.client_id = user_id;
    message.currency = (char *)"USD";
    message.amount = (char *)amount;
    return delivery_of("topups.requests.v1", "/test", id, &message.base);
}

static struct delivery cancel_request(const char *id, uint64_t user_id, const char *client_order_id)
{
    Penstock__Orders__V1__CancelOrder message = PENSTOCK__ORDERS__V1__CANCEL_ORDER__INIT;
    message.client_id = user_id;
    message.target_case = PENSTOCK__ORDERS__V1__CANCEL_ORDER__TARGET_CLIENT_ORDER_ID;
    message.client_order_id = (char *)client_order_id;
    return delivery_of("orders.requests.v1", "/test", id, &message.base);
}

static int64_t events_of(struct world *world, const char *type)
{
    char sql[256];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM outbox WHERE type LIKE '%%.%s'", type);
    return ask(world, sql);
}

Test(requests, each_is_answered_by_an_event_and_a_repeated_one_has_no_second_effect)
{
    struct world *world = world_new();
    struct error e = { 0 };
    struct delivery batch[] = {
        topup_request("t1", 7, "100"), place_request("p1", 7, "60", "first"),
        place_request("p2", 7, "60", "second"),                              /* 40 are left */
        place_request("p3", 7, "abc", ""), cancel_request("c1", 7, "first"), /* an order of this very batch */
        cancel_request("c2", 7, "nothing"), topup_request("t2", 7, "-1"), place_request("p1", 7, "60", "first"),
        place_request("p1", 7, "61", "first"), /* the same id for another request */
    };
    cr_assert(deliver(world, events_requests, batch, ARRAY_LEN(batch), &e), "%s", e.message);
    for (size_t i = 0; i < ARRAY_LEN(batch); i++)
        cr_expect_eq(batch[i].verdict.kind, ERROR_NONE, "%zu: a refusal is an answer, not a dead letter", i);
    cr_expect_eq(events_of(world, "TopupBooked"), 1);
    cr_expect_eq(events_of(world, "TopupRejected"), 1);
    cr_expect_eq(events_of(world, "OrderAccepted"), 2, "one for the engine, one for the user");
    cr_expect_eq(events_of(world, "OrderRejected"), 3);
    cr_expect_eq(events_of(world, "CancelAccepted"), 1);
    cr_expect_eq(events_of(world, "CancelRejected"), 1);
    cr_expect_eq(ask(world, "SELECT count(*) FROM inbox"), 7, "refusals are remembered too");
    int64_t before = ask(world, "SELECT count(*) FROM outbox");
    struct delivery again[] = { topup_request("t1", 7, "100"), place_request("p2", 7, "60", "second"),
        cancel_request("c2", 7, "nothing") };
    cr_assert(deliver(world, events_requests, again, ARRAY_LEN(again), &e), "%s", e.message);
    cr_expect_eq(ask(world, "SELECT count(*) FROM outbox"), before);
    check_invariants(world);
}

Test(requests, what_cannot_be_read_is_a_dead_letter_and_the_rest_of_the_batch_goes_on)
{
    struct world *world = world_new();
    struct error e = { 0 };
    struct delivery batch[] = {
        topup_request("t1", 7, "100"),
        place_request("x1", 7, "1", "\xff\xff"),
        place_request("x2", 7, "1", ""),
        topup_request("x3", 7, "1"),
        topup_request("t2", 8, "100"),
    };
    batch[2].event.value = (struct bytes){ "\xff\xff\xff", 3 };
    batch[3].event.type = "penstock.orders.v1.PlaceOrder";
    cr_assert(deliver(world, events_requests, batch, ARRAY_LEN(batch), &e), "%s", e.message);
    static const bool dead[] = { false, true, true, true, false };
    for (size_t i = 0; i < ARRAY_LEN(batch); i++)
        cr_expect((batch[i].verdict.kind == ERROR_INVALID) == dead[i], "%zu: %s", i, batch[i].verdict.message);
    cr_expect_eq(events_of(world, "TopupBooked"), 2);
    check_invariants(world);
}

Test(requests, an_event_cannot_claim_the_key_of_an_http_request)
{
    struct world *world = world_new();
    struct error e = { 0 };
    struct delivery claim = topup_request("k", 7, "1");
    claim.event.source = "user:7";
    cr_assert(deliver(world, events_requests, &claim, 1, &e), "%s", e.message);
    struct answer answer = top_up(world, 7, "k", "{\"currency\":\"USD\",\"amount\":\"2\"}");
    cr_expect(answer.status == 201 && !answer.replayed, "%d", answer.status);
}

/* ---- Postings ---- */

struct pair {
    struct order buy, sell;
};

/* Ann (1) buys 1 BTC at 100, Bob (2) sells 1 at 90. */
static struct pair two_orders(struct world *world)
{
    cr_assert_eq(top_up(world, 1, "a", "{\"currency\":\"USD\",\"amount\":\"1000\"}").status, 201);
    cr_assert_eq(top_up(world, 2, "b", "{\"currency\":\"BTC\",\"amount\":\"5\"}").status, 201);
    struct answer buy = place(world, 1, "o",
        "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":\"limit\",\"price\":\"100\",\"quantity\":\"1\"}");
    struct answer sell = place(world, 2, "o",
        "{\"symbol\":\"BTC-USD\",\"side\":\"sell\",\"type\":\"limit\",\"price\":\"90\",\"quantity\":\"1\"}");
    cr_assert(buy.status == 201 && sell.status == 201);
    return (struct pair){
        .buy = { .id = strtoll(text_of(&buy, "order_id"), NULL, 10),
            .user_id = 1,
            .side = SIDE_BUY,
            .price_ticks = 10000,
            .quantity_lots = 1000000 },
        .sell = { .id = strtoll(text_of(&sell, "order_id"), NULL, 10),
            .user_id = 2,
            .side = SIDE_SELL,
            .price_ticks = 9000,
            .quantity_lots = 1000000 },
    };
}

static struct delivery postings(uint64_t seq, posting **items, size_t count)
{
    struct arena *arena = test_arena();
    char id[32];
    snprintf(id, sizeof id, "BTC-USD-postings-%d", (int)seq);
    return delivery_of("ledger.postings.v1", "/penstock/matching-engine", arena_strdup(arena, id),
        &fixture_event(arena, fixture_btc_usd(), seq, items, count)->base);
}

static posting *fill(const struct pair *pair, int64_t lots, uint64_t trade_id)
{
    struct fixture_fill f = { fixture_btc_usd(), &pair->buy, &pair->sell, 10000, lots, trade_id, lots / 10,
        lots * 10000 / 500 };
    return fixture_fill_posting(test_arena(), &f);
}

/* What was agreed is settled whatever has become of the account; then nobody but the ledger itself has changed it. */
Test(postings, an_execution_into_a_closed_account_freezes_it_and_that_is_kept_and_told)
{
    struct world *world = world_new();
    struct error e = { 0 };
    cr_assert_eq(top_up(world, 1, "c", "{\"currency\":\"BTC\",\"amount\":\"1\"}").status, 201);
    struct pair pair = two_orders(world);
    cr_assert_eq(transfer(world, 1, "t", "{\"to_user_id\":\"2\",\"currency\":\"BTC\",\"amount\":\"1\"}").status, 201);
    int64_t account = ask(world, "SELECT id FROM accounts WHERE owner_id = 1 AND asset_id = 2");
    cr_assert_eq(change_account(world, account, "{\"status\":\"closed\",\"reason\":\"x\"}").status, 200);
    posting *all = fill(&pair, 1000000, 1);
    struct delivery delivery = postings(1, &all, 1);
    cr_assert(deliver(world, events_postings, &delivery, 1, &e), "%s", e.message);
    cr_assert_eq(delivery.verdict.kind, ERROR_NONE, "%s", delivery.verdict.message);
    cr_expect_eq(ask(world, "SELECT status FROM accounts WHERE owner_id = 1 AND asset_id = 2"), ACCOUNT_FROZEN);
    cr_expect_eq(ask(world, "SELECT count(*) FROM account_changes WHERE changed_by = 0 AND status = 2"), 1);
    Penstock__Ledger__V1__AccountChanged *told = last_event(world, &penstock__ledger__v1__account_changed__descriptor);
    cr_expect(told->changed_by == 0 && told->account_id == (uint64_t)account && told->owner_id == 1 &&
              told->status == PENSTOCK__LEDGER__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_FROZEN);
    protobuf_c_message_free_unpacked(&told->base, NULL);
    check_invariants(world);
}

Test(postings, executions_and_releases_of_one_batch_move_money_orders_and_the_last_price)
{
    struct world *world = world_new();
    struct pair pair = two_orders(world);
    struct error e = { 0 };
    posting *first = fill(&pair, 400000, 1);
    pair.buy.filled_lots = pair.sell.filled_lots = 400000;
    posting *second[] = { fill(&pair, 100000, 2), NULL };
    pair.buy.filled_lots = pair.sell.filled_lots = 500000;
    second[1] = fixture_release_posting(test_arena(), fixture_btc_usd(), &pair.buy, ORDER_CANCELLED, 2);
    struct delivery batch[] = { postings(1, &first, 1), postings(2, second, 2), postings(1, &first, 1) };
    cr_assert(deliver(world, events_postings, batch, 3, &e), "%s", e.message);
    for (size_t i = 0; i < 3; i++)
        cr_expect_eq(batch[i].verdict.kind, ERROR_NONE, "%s", batch[i].verdict.message);
    cr_expect_eq(ask(world, "SELECT count(*) FROM trades"), 2);
    cr_expect_eq(ask(world, "SELECT available FROM accounts WHERE owner_id = 1 AND asset_id = 1"), 95000000000);
    cr_expect_eq(ask(world, "SELECT held FROM accounts WHERE owner_id = 1 AND asset_id = 1"), 0);
    cr_expect_eq(ask(world, "SELECT available FROM accounts WHERE owner_id = 1 AND asset_id = 2"), 50000000 - 50000);
    cr_expect_eq(
        ask(world, "SELECT available FROM accounts WHERE owner_id = 2 AND asset_id = 1"), 5000000000 - 10000000);
    cr_expect_eq(ask(world, "SELECT status FROM orders WHERE user_id = 1"), ORDER_CANCELLED);
    cr_expect_eq(ask(world, "SELECT status FROM orders WHERE user_id = 2"), ORDER_PARTIALLY_FILLED);
    cr_expect_eq(ask(world, "SELECT last_price_ticks FROM market_progress"), 10000);
    cr_expect_eq(ask(world, "SELECT last_posting_seq FROM market_progress"), 2);
    struct answer trades = get(world, get_trades, (struct ask){ .user_id = 2, .query = "symbol=BTC-USD" });
    json_t *last = json_array_get(json_object_get(trades.json, "trades"), 0);
    cr_expect_eq(json_array_size(json_object_get(trades.json, "trades")), 2);
    cr_expect_str_eq(json_string_value(json_object_get(last, "side")), "sell");
    cr_expect_str_eq(json_string_value(json_object_get(last, "liquidity")), "taker");
    cr_expect_str_eq(json_string_value(json_object_get(last, "fee")), "0.02");
    check_invariants(world);
}

/* What an operator is woken by. */
static unsigned long refused_so_far(void)
{
    CLEANUP(xfree) char *text = metrics_render();
    const char *at = strstr(text, "\nledger_postings_refused_total ");
    return at ? strtoul(strchr(at, ' '), NULL, 10) : 0;
}

Test(postings, a_tampered_event_is_a_dead_letter_and_what_follows_waits_until_it_is_mended)
{
    struct world *world = world_new();
    struct pair pair = two_orders(world);
    struct error e = { 0 };
    posting *good = fill(&pair, 400000, 1), *bad = fill(&pair, 400000, 1);
    bad->legs[3]->available_delta_minor += 1000;
    bad->legs[0]->available_delta_minor -= 1000;
    pair.buy.filled_lots = pair.sell.filled_lots = 400000;
    posting *later = fill(&pair, 100000, 2);
    struct delivery batch[] = { postings(1, &bad, 1), postings(2, &later, 1) };
    int64_t before = ask(world, "SELECT count(*) FROM outbox");
    cr_assert(deliver(world, events_postings, batch, 2, &e), "%s", e.message);
    cr_expect(batch[0].verdict.kind == ERROR_REFUSED && strcmp(batch[0].verdict.problem, "posting-refused") == 0);
    cr_expect(batch[1].verdict.kind == ERROR_REFUSED && strcmp(batch[1].verdict.problem, "parked") == 0);
    cr_expect_eq(refused_so_far(), 2, "the alarm");
    cr_expect_eq(ask(world, "SELECT count(*) FROM trades"), 0);
    cr_expect_eq(ask(world, "SELECT count(*) FROM outbox"), before);
    check_invariants(world);

    struct delivery mended[] = { postings(1, &good, 1), postings(2, &later, 1) };
    cr_assert(deliver(world, events_postings, mended, 2, &e), "%s", e.message);
    cr_expect(
        mended[0].verdict.kind == ERROR_NONE && mended[1].verdict.kind == ERROR_NONE, "%s", mended[1].verdict.message);
    cr_expect_eq(ask(world, "SELECT count(*) FROM trades"), 2);
    check_invariants(world);
}

Test(postings, a_gap_that_nothing_explains_stops_the_consumer_with_nothing_booked)
{
    struct world *world = world_new();
    struct pair pair = two_orders(world);
    struct error e = { 0 };
    posting *good = fill(&pair, 400000, 1);
    struct delivery batch[] = { postings(2, &good, 1) };
    cr_assert(!deliver(world, events_postings, batch, 1, &e));
    cr_expect(e.kind == ERROR_FATAL && strcmp(e.problem, "postings-missing") == 0, "%s", e.message);
    cr_expect_eq(ask(world, "SELECT count(*) FROM trades"), 0);
    check_invariants(world);
}

Test(postings, of_strangers_make_no_accounts)
{
    struct world *world = world_new();
    struct pair pair = two_orders(world);
    struct error e = { 0 };
    pair.buy.id = 4711;
    posting *bad = fill(&pair, 400000, 1);
    bad->legs[0]->owner_id = 4711;
    struct delivery batch[] = { postings(1, &bad, 1) };
    int64_t before = ask(world, "SELECT count(*) FROM accounts WHERE owner_id NOT IN (0, 2)");
    cr_assert(deliver(world, events_postings, batch, 1, &e), "%s", e.message);
    cr_expect_eq(batch[0].verdict.kind, ERROR_REFUSED);
    cr_expect_eq(ask(world, "SELECT count(*) FROM accounts WHERE owner_id NOT IN (0, 2)"), before);
}
