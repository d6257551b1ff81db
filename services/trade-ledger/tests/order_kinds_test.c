/* What one can do with orders besides placing and cancelling one, on a real Postgres: amendments, batches, mass quotes,
 * cancel-all, dead man's switches, limits of users, control of markets, ticks. */
#include "chores.h"
#include "fixture.h"
#include "testing.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

TestSuite(order_kinds, .fini = world_end);
TestSuite(amend_order, .fini = world_end);
TestSuite(batch_of_orders, .fini = world_end);
TestSuite(mass_quote, .fini = world_end);
TestSuite(cancel_all, .fini = world_end);
TestSuite(house, .fini = world_end);
TestSuite(ticks, .fini = world_end);
TestSuite(isolation, .fini = world_end);

typedef Penstock__Ledger__V1__Posting posting;

#define LIMIT(side, price, quantity, more)                                                                             \
    "{\"symbol\":\"BTC-USD\",\"side\":\"" side "\",\"type\":\"limit\",\"price\":\"" price                              \
    "\",\"quantity\":\"" quantity "\"" more "}"

static struct world *rich_world(void)
{
    struct world *world = world_new();
    cr_assert_eq(top_up(world, 7, "usd", "{\"currency\":\"USD\",\"amount\":\"10000\"}").status, 201);
    cr_assert_eq(top_up(world, 7, "btc", "{\"currency\":\"BTC\",\"amount\":\"10\"}").status, 201);
    return world;
}

static struct answer post(struct world *world, const char *path, const char *key, const char *body)
{
    return command(world, (struct ask){ 7, "POST", path, NULL, key, body, NULL });
}

static struct answer amend(struct world *world, uint64_t user_id, const char *id, const char *key, const char *body)
{
    return command(world, (struct ask){ user_id, "PATCH", "/orders/x", id, key, body, NULL });
}

static int64_t sent(struct world *world, const char *topic, const char *type)
{
    char sql[256];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM outbox WHERE topic = '%s' AND type LIKE '%%.%s'", topic, type);
    return ask(world, sql);
}

static void chores_at(struct world *world, int64_t now)
{
    struct error e = { 0 };
    cr_assert(chores_run(world->pg, world->outbox, world_service(), now, &e), "%s", e.message);
}

static void expect_problem(struct answer answer, int status, const char *problem, const char *field, const char *what)
{
    cr_expect(answer.status == status && strcmp(answer.problem, problem) == 0 && strcmp(answer.field, field) == 0,
        "%s: %d %s %s %s", what, answer.status, answer.problem, answer.field, answer.message);
}

Test(order_kinds, each_holds_its_worst_case_and_is_passed_on_as_it_was_understood)
{
    static const struct {
        const char *body, *held, *protection;
        const char *row; /* a condition on its row */
    } cases[] = {
        { "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":\"stop\",\"stop_price\":\"100\",\"quantity\":\"2\"}",
            "210", "105.00", "stop_price_ticks = 10000 AND time_in_force = 1" },
        { "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":\"stop_limit\",\"stop_price\":\"100\",\"price\":\"101\","
          "\"quantity\":\"2\"}",
            "202", "", "stop_price_ticks = 10000 AND price_ticks = 10100" },
        { LIMIT("buy", "100", "2", ",\"time_in_force\":\"GTD\",\"expires_at\":\"2040-01-01T00:00:00Z\""), "200", "",
            "expires_at = '2040-01-01Z'" },
        { LIMIT("buy", "100", "2", ",\"post_only\":true,\"post_only_mode\":\"slide\""), "200", "",
            "post_only AND post_only_mode = 2" },
        { LIMIT("sell", "100", "2", ",\"display_quantity\":\"0.5\""), "2", "", "display_lots = 500000" },
        { LIMIT("buy", "100", "2", ",\"self_trade_prevention\":\"decrement\""), "200", "",
            "self_trade_prevention = 4" },
        { "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":\"market\",\"quote_amount\":\"123.45\"}", "123.45",
            "68250.00", "quote_minor = 12345000000 AND quantity_lots = 0 AND time_in_force = 2" },
        { "{\"symbol\":\"BTC-USD\",\"side\":\"sell\",\"type\":\"market\",\"quote_amount\":\"61750\"}", "1", "61750.00",
            "quote_minor = 6175000000000 AND quantity_lots = 1000000" },
    };
    struct world *world = rich_world();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char key[16], sql[256];
        snprintf(key, sizeof key, "k%zu", i);
        struct answer answer = place(world, 7, key, cases[i].body);
        cr_assert_eq(answer.status, 201, "%s: %s %s", cases[i].body, answer.field, answer.message);
        cr_expect_str_eq(text_of(&answer, "held"), cases[i].held, "%s: %s", cases[i].body, text_of(&answer, "held"));
        cr_expect_str_eq(text_of(&answer, "protection_price"), cases[i].protection, "%s: %s", cases[i].body,
            text_of(&answer, "protection_price"));
        snprintf(sql, sizeof sql, "SELECT count(*) FROM orders WHERE id = %s AND maker_fee_ppm = 1000 AND %s",
            text_of(&answer, "order_id"), cases[i].row);
        cr_expect_eq(ask(world, sql), 1, "%s", sql);
    }
    check_invariants(world);
}

Test(order_kinds, limits_of_a_market_are_kept_at_the_door)
{
    static const struct {
        const char *setting, *body, *problem, *field;
    } cases[] = {
        { "min_price_ticks = 5000", LIMIT("buy", "49.99", "1", ""), "invalid-price", "price" },
        { "price_step_ticks = 100", LIMIT("buy", "50.50", "1", ""), "invalid-price", "price" },
        { "quantity_step_lots = 1000", LIMIT("buy", "50", "0.0015", ""), "invalid-quantity", "quantity" },
        { "min_notional_minor = 100000000", LIMIT("buy", "50", "0.01", ""), "invalid-notional", "quantity" },
        { "max_notional_minor = 100000000", LIMIT("buy", "50", "1", ""), "invalid-notional", "quantity" },
        { "price_band_ppm = 100000, band_price_ticks = 10000", LIMIT("buy", "110.01", "1", ""), "price-band", "price" },
        { "price_band_ppm = 100000, band_price_ticks = 10000", LIMIT("sell", "89.99", "1", ""), "price-band", "price" },
        { "price_band_ppm = 100000, band_price_ticks = 10000",
            "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":\"stop\",\"stop_price\":\"120\",\"quantity\":\"1\"}",
            "price-band", "stop_price" },
        { "status = 3", LIMIT("buy", "50", "1", ""), "market-not-open", "symbol" },
        { "status = 4", LIMIT("buy", "50", "1", ",\"time_in_force\":\"IOC\""), "market-not-open", "symbol" },
        { "status = 4", "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":\"market\",\"quantity\":\"1\"}",
            "market-not-open", "symbol" },
    };
    struct world *world = rich_world();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char sql[256];
        ask(world, "UPDATE markets SET min_price_ticks = 0, price_step_ticks = 0, quantity_step_lots = 0, "
                   "min_notional_minor = 0, max_notional_minor = 0, price_band_ppm = 0, status = 1");
        snprintf(sql, sizeof sql, "UPDATE markets SET %s WHERE id = 1", cases[i].setting);
        ask(world, sql);
        expect_problem(place(world, 7, "k", cases[i].body), 422, cases[i].problem, cases[i].field, cases[i].setting);
    }
    ask(world, "UPDATE markets SET status = 4 WHERE id = 1");
    cr_expect_eq(place(world, 7, "auction", LIMIT("buy", "50", "1", "")).status, 201, "what rests enters an auction");
    ask(world, "UPDATE markets SET status = 1, price_band_ppm = 100000, band_price_ticks = 6000000 WHERE id = 1");
    struct answer market =
        place(world, 7, "m", "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":\"market\",\"quantity\":\"0.01\"}");
    cr_expect_str_eq(text_of(&market, "protection_price"), "66000.00", "protected no further than the band");
    check_invariants(world);
}

/* ---- Amendments ---- */

/* The engine's word on an amendment of user 7's buy of 1 BTC at 100: applied, or not. */
static struct delivery amend_answer(uint64_t seq, int64_t order_id, uint64_t amend_id, int64_t released,
    int64_t price_ticks, int64_t quantity_lots, int status, int64_t filled, int64_t remaining)
{
    struct arena *arena = test_arena();
    char id[32];
    posting *p = arena_alloc(arena, sizeof *p);
    Penstock__Ledger__V1__OrderState *state = arena_alloc(arena, sizeof *state);
    Penstock__Ledger__V1__Leg *leg = arena_alloc(arena, sizeof *leg);
    *p = (posting)PENSTOCK__LEDGER__V1__POSTING__INIT;
    *state = (Penstock__Ledger__V1__OrderState)PENSTOCK__LEDGER__V1__ORDER_STATE__INIT;
    *leg = (Penstock__Ledger__V1__Leg)PENSTOCK__LEDGER__V1__LEG__INIT;
    state->order_id = (uint64_t)order_id;
    state->user_id = 7;
    state->amend_id = amend_id;
    state->price_ticks = price_ticks;
    state->quantity_lots = quantity_lots;
    state->status = (Penstock__Orders__V1__OrderStatus)status;
    state->filled_lots = filled;
    state->remaining_lots = remaining;
    leg->owner_id = 7;
    leg->kind = PENSTOCK__LEDGER__V1__ACCOUNT_KIND__ACCOUNT_KIND_USER;
    leg->asset_id = USD;
    leg->available_delta_minor = released;
    leg->held_delta_minor = -released;
    p->legs = arena_alloc(arena, sizeof *p->legs);
    p->orders = arena_alloc(arena, sizeof *p->orders);
    p->legs[0] = leg;
    p->orders[0] = state;
    p->n_legs = released != 0;
    p->n_orders = 1;
    snprintf(id, sizeof id, "BTC-USD-postings-%d", (int)seq);
    return delivery_of("ledger.postings.v1", "/penstock/matching-engine", arena_strdup(arena, id),
        &fixture_event(arena, fixture_btc_usd(), seq, &p, 1)->base);
}

static bool booked(struct world *world, struct delivery delivery)
{
    struct error e = { 0 };
    cr_assert(deliver(world, events_postings, &delivery, 1, &e), "%s", e.message);
    return delivery.verdict.kind == ERROR_NONE;
}

Test(amend_order, sets_aside_what_it_needs_more_and_the_engines_answer_settles_it)
{
    struct world *world = rich_world();
    struct answer order = place(world, 7, "o", LIMIT("buy", "100", "1", ""));
    const char *id = text_of(&order, "order_id");
    int64_t order_id = strtoll(id, NULL, 10);
    struct answer asked = amend(world, 7, id, "a1", "{\"price\":\"120\",\"quantity\":\"2\"}");
    cr_assert_eq(asked.status, 202, "%s", asked.message);
    cr_expect_str_eq(text_of(&asked, "status"), "amend_requested");
    cr_expect_str_eq(text_of(&asked, "held"), "140", "240 in all");
    cr_expect_eq(ask(world, "SELECT held / 100000000 FROM accounts WHERE owner_id = 7 AND asset_id = 1"), 240);
    cr_expect_eq(sent(world, "orders.accepted.v1", "AmendAccepted"), 1);
    cr_expect(amend(world, 7, id, "a1", "{\"price\":\"120\",\"quantity\":\"2\"}").replayed, "the same key again");
    expect_problem(amend(world, 7, id, NULL, "{\"price\":\"90\"}"), 409, "amend-in-flight", "order_id", "a second");
    check_invariants(world);

    uint64_t amend_id = strtoull(text_of(&asked, "amend_id"), NULL, 10);
    cr_expect(!booked(world, amend_answer(1, order_id, amend_id, 100, 12000, 2000000, ORDER_ACCEPTED, 0, 2000000)),
        "a unit too much came back");
    cr_expect(booked(world, amend_answer(1, order_id, amend_id, 0, 12000, 2000000, ORDER_ACCEPTED, 0, 2000000)));
    cr_expect_eq(ask(world, "SELECT count(*) FROM orders WHERE price_ticks = 12000 AND quantity_lots = 2000000 AND "
                            "held_minor = 24000000000 AND amend_status = 2"),
        1);
    struct answer down = amend(world, 7, id, NULL, "{\"quantity\":\"0.5\"}");
    cr_expect_eq(down.status, 202);
    cr_expect_str_eq(text_of(&down, "held"), "0", "less needs nothing more");
    amend_id = strtoull(text_of(&down, "amend_id"), NULL, 10);
    cr_expect(
        booked(world, amend_answer(2, order_id, amend_id, 18000000000, 12000, 500000, ORDER_ACCEPTED, 0, 500000)));
    struct answer shown = get(world, get_order, (struct ask){ .user_id = 7, .method = "GET", .path = "/", .id = id });
    cr_expect_str_eq(text_of(&shown, "held"), "60");
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(shown.json, "amendment"), "status")), "amended");
    check_invariants(world);
}

Test(amend_order, that_comes_after_the_end_of_its_order_gives_back_its_hold)
{
    struct world *world = rich_world();
    struct error e = { 0 };
    struct answer answer = place(world, 7, "o", LIMIT("buy", "100", "1", ""));
    const char *id = text_of(&answer, "order_id");
    struct answer asked = amend(world, 7, id, NULL, "{\"price\":\"150\"}");
    cr_assert_eq(asked.status, 202);
    struct order order = {
        .id = strtoll(id, NULL, 10), .user_id = 7, .side = SIDE_BUY, .price_ticks = 10000, .quantity_lots = 1000000
    };
    posting *closed = fixture_release_posting(test_arena(), fixture_btc_usd(), &order, ORDER_CANCELLED, 1);
    struct arena *arena = test_arena();
    struct delivery batch[] = {
        delivery_of("ledger.postings.v1", "/penstock/matching-engine", "p1",
            &fixture_event(arena, fixture_btc_usd(), 1, &closed, 1)->base),
    };
    cr_assert(deliver(world, events_postings, batch, 1, &e) && batch[0].verdict.kind == ERROR_NONE, "%s",
        batch[0].verdict.message);
    cr_expect_eq(ask(world, "SELECT held / 100000000 FROM accounts WHERE owner_id = 7 AND asset_id = 1"), 50,
        "the amendment's hold waits for its answer");
    check_invariants(world);
    cr_expect(booked(
        world, amend_answer(2, order.id, strtoull(text_of(&asked, "amend_id"), NULL, 10), 5000000000, 0, 0, 0, 0, 0)));
    cr_expect_eq(ask(world, "SELECT held FROM accounts WHERE owner_id = 7 AND asset_id = 1"), 0);
    cr_expect_eq(ask(world, "SELECT status FROM orders"), ORDER_CANCELLED);
    check_invariants(world);
}

Test(amend_order, every_bad_one_is_refused_with_its_problem_and_field)
{
    static const struct {
        const char *body;
        int status;
        const char *problem, *field;
    } cases[] = {
        { "{}", 400, "missing-field", "price" }, { "{\"price\":1}", 400, "wrong-type", "price" },
        { "{\"side\":\"buy\"}", 400, "unknown-field", "side" }, { "{\"price\":\"x\"}", 400, "invalid-price", "price" },
        { "{\"price\":\"0\"}", 422, "invalid-price", "price" },
        { "{\"quantity\":\"0\"}", 422, "invalid-quantity", "quantity" },
        { "{\"quantity\":\"0.0000001\"}", 422, "invalid-quantity", "quantity" },
        { "{\"quantity\":\"0.4\"}", 409, "quantity-already-filled", "quantity" },
        { "{\"price\":\"100\"}", 422, "nothing-to-change", "price" },
        { "{\"quantity\":\"1\"}", 422, "nothing-to-change", "quantity" },
        { "{\"price\":\"99999\",\"quantity\":\"900\"}", 422, "", "" }, /* insufficient-funds with what is available */
    };
    struct world *world = rich_world();
    struct answer order = place(world, 7, "o", LIMIT("buy", "100", "1", ""));
    const char *id = text_of(&order, "order_id");
    ask(world, "UPDATE orders SET filled_lots = 400000, status = 2");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_problem(
            amend(world, 7, id, NULL, cases[i].body), cases[i].status, cases[i].problem, cases[i].field, cases[i].body);
    expect_problem(amend(world, 8, id, NULL, "{\"price\":\"90\"}"), 404, "order-not-found", "order_id", "a stranger");
    ask(world, "UPDATE markets SET status = 2");
    expect_problem(amend(world, 7, id, NULL, "{\"price\":\"90\"}"), 422, "market-not-open", "symbol", "halted");
    cr_expect_eq(ask(world, "SELECT count(*) FROM orders WHERE amend_id IS NULL"), 1);
    cr_expect_eq(sent(world, "orders.accepted.v1", "AmendAccepted"), 0);
}

/* ---- Many at once ---- */

Test(batch_of_orders, gives_each_its_own_answer_in_one_transaction)
{
    struct world *world = rich_world();
    const char *body = "{\"orders\":[" LIMIT("buy", "4000", "1", ",\"client_order_id\":\"a\"") "," LIMIT(
        "buy", "4000", "2", "") "," LIMIT("buy", "x", "1", "") ",7," LIMIT("sell", "1", "1", "") "]}";
    struct answer answer = post(world, "/orders/batch", "k", body);
    static const int expected[] = { 201, 422, 400, 400, 201 };
    cr_assert_eq(answer.status, 200, "%s", answer.message);
    const json_t *orders = json_object_get(answer.json, "orders");
    cr_assert_eq(json_array_size(orders), ARRAY_LEN(expected));
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        cr_expect_eq(json_integer_value(json_object_get(json_array_get(orders, i), "status")), expected[i], "%zu", i);
    const json_t *problem = json_object_get(json_array_get(orders, 1), "problem");
    cr_expect_str_eq(json_string_value(json_object_get(problem, "available")), "6000");
    struct answer again = post(world, "/orders/batch", "k", body);
    cr_expect(again.replayed && json_equal(again.json, answer.json));
    cr_expect_eq(ask(world, "SELECT count(*) FROM orders"), 2);
    cr_expect_eq(ask(world, "SELECT count(DISTINCT xmin::text) FROM orders"), 1);
    expect_problem(post(world, "/orders/batch", "e", "{\"orders\":[]}"), 422, "out-of-range", "orders", "none");
    expect_problem(post(world, "/orders/batch", "t", "{\"orders\":{}}"), 400, "wrong-type", "orders", "no array");
    expect_problem(
        post(world, "/orders/batch", NULL, body), 400, "idempotency-key-missing", "Idempotency-Key", "no key");
    check_invariants(world);
}

#define QUOTE(side, price, quantity) "{\"side\":\"" side "\",\"price\":\"" price "\",\"quantity\":\"" quantity "\"}"
#define QUOTES(more)                 "{\"symbol\":\"BTC-USD\",\"quote_set\":3,\"quotes\":[" more "]}"

Test(mass_quote, is_all_or_nothing_and_one_command_for_the_engine)
{
    struct world *world = rich_world();
    struct answer bad = post(world, "/quotes/mass", "b",
        QUOTES(QUOTE("buy", "100", "1") "," QUOTE("sell", "200", "1") "," QUOTE("buy", "0", "1")));
    expect_problem(bad, 422, "invalid-price", "quotes[2].price", "a bad price");
    bad = post(world, "/quotes/mass", "b", QUOTES(QUOTE("buy", "100", "1") "," QUOTE("buy", "9901", "1")));
    cr_expect(bad.status == 422 && strcmp(text_of(&bad, "available"), "9900") == 0, "%d %s", bad.status, bad.message);
    cr_expect_eq(ask(world, "SELECT count(*) FROM orders"), 0);
    check_invariants(world);

    struct answer good =
        post(world, "/quotes/mass", "b", QUOTES(QUOTE("buy", "100", "1") "," QUOTE("sell", "200", "1")));
    cr_assert_eq(good.status, 201, "%s %s", good.field, good.message);
    cr_expect_eq(json_array_size(json_object_get(good.json, "orders")), 2);
    cr_expect_eq(sent(world, "orders.accepted.v1", "MassQuoteAccepted"), 1);
    cr_expect_eq(sent(world, "orders.accepted.v1", "OrderAccepted"), 0);
    cr_expect_eq(sent(world, "orders.events.v1", "OrderAccepted"), 2);
    cr_expect_eq(ask(world, "SELECT count(*) FROM orders WHERE quote_set = 3"), 2);
    cr_expect_eq(post(world, "/quotes/mass", "c", QUOTES("")).status, 201, "only cancel");
    expect_problem(post(world, "/quotes/mass", "d", "{\"symbol\":\"NO-NO\",\"quote_set\":1,\"quotes\":[]}"), 422,
        "unknown-symbol", "symbol", "no such market");
    expect_problem(post(world, "/quotes/mass", "d", "{\"symbol\":\"BTC-USD\",\"quote_set\":0,\"quotes\":[]}"), 422,
        "out-of-range", "quote_set", "set 0");
    check_invariants(world);
}

Test(cancel_all, names_each_market_with_open_orders_and_a_dead_mans_switch_does_it_by_itself)
{
    struct world *world = rich_world();
    cr_assert_eq(place(world, 7, "a", LIMIT("buy", "1", "1", "")).status, 201);
    cr_assert_eq(place(world, 7, "b",
                     "{\"symbol\":\"ETH-USD\",\"side\":\"buy\",\"type\":\"limit\",\"price\":\"1\",\"quantity\":\"1\"}")
                     .status,
        201);
    struct answer all = post(world, "/orders/cancel-all", NULL, "{}");
    cr_expect(all.status == 202 && json_array_size(json_object_get(all.json, "symbols")) == 2);
    struct answer one = post(world, "/orders/cancel-all", NULL, "{\"symbol\":\"ETH-USD\"}");
    cr_expect(one.status == 202 && json_array_size(json_object_get(one.json, "symbols")) == 1);
    cr_expect_eq(sent(world, "orders.accepted.v1", "CancelAllAccepted"), 3);
    expect_problem(
        post(world, "/orders/cancel-all", NULL, "{\"symbol\":\"NO-NO\"}"), 422, "unknown-symbol", "symbol", "unknown");

    cr_expect_str_eq(({
        struct answer a = post(world, "/orders/cancel-all-after", NULL, "{\"timeout_s\":60}");
        text_of(&a, "status");
    }),
        "armed");
    chores_at(world, now_us());
    cr_expect_eq(sent(world, "orders.accepted.v1", "CancelAllAccepted"), 3, "not yet");
    cr_expect_eq(post(world, "/orders/cancel-all-after", NULL, "{\"timeout_s\":0}").status, 200);
    chores_at(world, now_us() + 61000000);
    cr_expect_eq(sent(world, "orders.accepted.v1", "CancelAllAccepted"), 3, "it was disarmed");
    cr_expect_eq(post(world, "/orders/cancel-all-after", NULL, "{\"timeout_s\":60}").status, 200);
    chores_at(world, now_us() + 61000000);
    chores_at(world, now_us() + 62000000);
    cr_expect_eq(sent(world, "orders.accepted.v1", "CancelAllAccepted"), 5, "fires once, in both markets");
    expect_problem(post(world, "/orders/cancel-all-after", NULL, "{\"timeout_s\":-1}"), 422, "out-of-range",
        "timeout_s", "negative");
    expect_problem(
        post(world, "/orders/cancel-all-after", NULL, "{\"timeout_s\":\"9\"}"), 400, "wrong-type", "timeout_s", "text");
    expect_problem(post(world, "/orders/cancel-all-after", NULL, "{}"), 400, "missing-field", "timeout_s", "none");
}

/* ---- What the house decides ---- */

Test(house, fees_and_limits_of_a_user_are_heeded)
{
    struct world *world = rich_world();
    ask(world, "INSERT INTO traders VALUES (7, 10, 20, 2, NULL, 50000000000)");
    chores_at(world, now_us());
    expect_problem(place(world, 7, "l", LIMIT("buy", "501", "1", "")), 422, "order-too-large", "quantity", "notional");
    cr_expect_eq(place(world, 7, "a", LIMIT("buy", "100", "1", "")).status, 201);
    cr_expect_eq(ask(world, "SELECT count(*) FROM orders WHERE maker_fee_ppm = 10 AND taker_fee_ppm = 20"), 1);
    cr_expect_eq(place(world, 7, "b", LIMIT("sell", "100", "1", "")).status, 201);
    expect_problem(place(world, 7, "c", LIMIT("buy", "1", "1", "")), 422, "too-many-open-orders", "", "open orders");
    ask(world, "UPDATE orders SET status = 4, held_minor = 0, reason = 1 WHERE id = (SELECT min(id) FROM orders)");
    ask(world, "UPDATE traders SET orders_per_s_max = 1");
    cr_expect_eq(place(world, 7, "d", LIMIT("buy", "1", "1", "")).status, 429, "three within a second");
    ask(world, "UPDATE traders SET orders_per_s_max = NULL");
    cr_expect_eq(place(world, 7, "e", LIMIT("buy", "1", "1", "")).status, 201, "one was closed");
    world_service()->settings.open_orders_max = 1;
    cr_assert_eq(top_up(world, 8, "t", "{\"currency\":\"USD\",\"amount\":\"100\"}").status, 201);
    cr_expect_eq(place(world, 8, "a", LIMIT("buy", "1", "1", "")).status, 201);
    expect_problem(place(world, 8, "b", LIMIT("buy", "1", "1", "")), 422, "too-many-open-orders", "", "the service's");
}

Test(house, a_kill_switch_blocks_at_the_door_and_is_passed_on_once)
{
    struct world *world = rich_world();
    cr_expect_eq(ask(world, "SELECT kill_switch(7, 'BTC-USD', true)"), 1);
    chores_at(world, now_us());
    chores_at(world, now_us());
    cr_expect_eq(sent(world, "orders.accepted.v1", "KillSwitchSet"), 1);
    expect_problem(place(world, 7, "a", LIMIT("buy", "1", "1", "")), 403, "kill-switch", "symbol", "blocked");
    const char *elsewhere =
        "{\"symbol\":\"ETH-USD\",\"side\":\"buy\",\"type\":\"limit\",\"price\":\"1\",\"quantity\":\"1\"}";
    cr_expect_eq(place(world, 7, "b", elsewhere).status, 201, "only in this market");
    cr_expect_eq(ask(world, "SELECT kill_switch(7, NULL, false)"), 2);
    chores_at(world, now_us());
    cr_expect_eq(place(world, 7, "a", LIMIT("buy", "1", "1", "")).status, 201);
}

Test(house, market_control_and_reference_prices_reach_the_engine_once_each)
{
    struct world *world = rich_world();
    ask(world, "SELECT market_control('BTC-USD', 'auction')");
    ask(world, "SELECT market_reference('BTC-USD', 6400000)");
    chores_at(world, now_us());
    chores_at(world, now_us());
    cr_expect_eq(sent(world, "orders.accepted.v1", "ReferencePriceSet"), 1);
    cr_expect_eq(sent(world, "markets.v1", "MarketConfigured"), 3, "two at the start, one change");
    char state[6];
    cr_expect_str_eq(
        sqlstate_of(world->database.admin_url, "SELECT market_control('BTC-USD', 'shut')", state), "EB004");
    cr_expect_str_eq(sqlstate_of(world->database.admin_url, "SELECT market_control('NO-NO', 'open')", state), "EB004");
    cr_expect_str_eq(sqlstate_of(world->database.admin_url, "SELECT market_reference('BTC-USD', 0)", state), "EB004");
}

Test(ticks, are_written_when_an_end_has_come_and_not_else)
{
    struct world *world = rich_world();
    int64_t now = now_us();
    cr_assert_eq(place(world, 7, "g",
                     LIMIT("buy", "1", "1", ",\"time_in_force\":\"GTD\",\"expires_at\":\"2040-01-01T00:00:00Z\""))
                     .status,
        201);
    chores_at(world, now);
    cr_expect_eq(sent(world, "orders.accepted.v1", "TimeTicked"), 0);
    int64_t later = INT64_C(2208988800000000); /* 2040-01-01 */
    chores_at(world, later);
    chores_at(world, later + 1000000);
    cr_expect_eq(sent(world, "orders.accepted.v1", "TimeTicked"), 1, "once is enough");
    chores_at(world, later + 6000000);
    cr_expect_eq(sent(world, "orders.accepted.v1", "TimeTicked"), 2, "but it is still open");
    ask(world, "UPDATE orders SET status = 6, held_minor = 0, reason = 8");
    chores_at(world, later + 60000000);
    cr_expect_eq(sent(world, "orders.accepted.v1", "TimeTicked"), 2);
}

/* ---- Anomalies that weaker isolation lets through, provoked on purpose ---- */

struct rival {
    struct pg *pg;
    struct ask ask;
    struct answer answer;
    bool done;
};

static void *compete(void *context)
{
    struct rival *rival = context;
    struct outbox *outbox = outbox_new();
    rival->done = command_batch(rival->pg, outbox, &rival->ask, &rival->answer, 1);
    outbox_free(outbox);
    return NULL;
}

/* `first` is decided and stored but not committed when `second` comes in on another connection. */
static struct answer during(struct world *world, struct ask first, struct ask second)
{
    struct error e = { 0 };
    pthread_t thread;
    struct rival rival = { .pg = world_connect(world), .ask = second };
    struct http_call call = { .request = { .method = first.method,
                                  .path = first.path,
                                  .query = "",
                                  .params = { first.id },
                                  .idempotency_key = first.key ? first.key : "",
                                  .json = json_loads(first.body, 0, NULL),
                                  .claims.user_id = first.user_id } };
    struct http_call *calls[] = { &call };
    cr_assert(
        pg_begin(world->pg, &e) && http_commands(world->pg, world->outbox, calls, 1, &e) && pg_wait(world->pg, &e),
        "%s", e.message);
    cr_assert_eq(call.error.kind, ERROR_NONE, "%s", call.error.message);
    pthread_create(&thread, NULL, compete, &rival);
    usleep(300000);
    cr_assert(outbox_write(world->outbox, world->pg, &e) && pg_commit(world->pg, &e), "%s", e.message);
    pthread_join(thread, NULL);
    cr_assert(rival.done);
    answers_taken(&rival.answer, 1);
    json_decref(call.request.json);
    xfree(call.reply.body);
    return rival.answer;
}

Test(isolation, no_update_is_lost_when_two_spend_the_same_money)
{
    struct world *world = rich_world();
    struct answer second =
        during(world, (struct ask){ 7, "POST", "/orders", NULL, "a", LIMIT("buy", "6000", "1", ""), NULL },
            (struct ask){ 7, "POST", "/orders", NULL, "b", LIMIT("buy", "6000", "1", ""), NULL });
    cr_expect_eq(second.status, 422, "10,000 are not enough for both");
    cr_expect_eq(ask(world, "SELECT available / 100000000 FROM accounts WHERE owner_id = 7 AND asset_id = 1"), 4000);
    check_invariants(world);
}

Test(isolation, two_orders_on_different_accounts_do_not_slip_past_one_limit_together)
{
    struct world *world = rich_world();
    ask(world, "INSERT INTO traders (user_id, open_orders_max) VALUES (7, 1)");
    chores_at(world, now_us());
    struct answer second =
        during(world, (struct ask){ 7, "POST", "/orders", NULL, "a", LIMIT("buy", "1", "1", ""), NULL },
            (struct ask){ 7, "POST", "/orders", NULL, "b", LIMIT("sell", "1", "1", ""), NULL });
    expect_problem(second, 422, "too-many-open-orders", "", "write skew");
    cr_expect_eq(ask(world, "SELECT count(*) FROM orders"), 1);
    check_invariants(world);
}

Test(isolation, two_amendments_of_one_order_are_never_under_way_together)
{
    struct world *world = rich_world();
    struct answer order = place(world, 7, "o", LIMIT("buy", "100", "1", ""));
    const char *id = text_of(&order, "order_id");
    struct answer second = during(world, (struct ask){ 7, "PATCH", "/orders/x", id, NULL, "{\"price\":\"150\"}", NULL },
        (struct ask){ 7, "PATCH", "/orders/x", id, NULL, "{\"quantity\":\"3\"}", NULL });
    expect_problem(second, 409, "amend-in-flight", "order_id", "the second");
    cr_expect_eq(ask(world, "SELECT held / 100000000 FROM accounts WHERE owner_id = 7 AND asset_id = 1"), 150);
    check_invariants(world);
}
