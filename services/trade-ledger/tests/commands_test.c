/* HTTP's commands on a real Postgres. */
#include "testing.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(place_order, .fini = world_end);
TestSuite(top_up, .fini = world_end);
TestSuite(cancel_order, .fini = world_end);
TestSuite(reads, .fini = world_end);

#define BUY_HALF          "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":\"limit\",\"price\":\"65000\",\"quantity\":\"0.5\"}"
#define ORDER(side, more) "{\"symbol\":\"BTC-USD\",\"side\":\"" side "\",\"type\":\"limit\"" more "}"

static struct world *rich_world(void)
{
    struct world *world = world_new();
    cr_assert_eq(top_up(world, 7, "seed", "{\"currency\":\"USD\",\"amount\":\"100000\"}").status, 201);
    return world;
}

/* A number that changes when anything is stored. */
static int64_t everything(struct world *world)
{
    return ask(world,
        "SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM journals) + (SELECT count(*) FROM entries) + "
        "(SELECT count(*) FROM inbox) + (SELECT count(*) FROM outbox) + (SELECT count(*) FROM topups) + "
        "(SELECT count(*) FROM accounts) + (SELECT coalesce(sum(available % 1000003 + held % 1000033), 0) FROM "
        "accounts)");
}

Test(place_order, writes_the_order_its_hold_and_its_events)
{
    struct world *world = rich_world();
    struct answer answer = place(world, 7, "k1", BUY_HALF);
    cr_assert_eq(answer.status, 201, "%s", answer.message);
    cr_expect_str_eq(text_of(&answer, "status"), "accepted");
    cr_expect_str_eq(text_of(&answer, "price"), "65000.00");
    cr_expect_str_eq(text_of(&answer, "quantity"), "0.5");
    cr_expect_str_eq(text_of(&answer, "held"), "32500");
    cr_expect(strtoll(text_of(&answer, "order_id"), NULL, 10) > 0);
    cr_expect_eq(ask(world, "SELECT available / 100000000 FROM accounts WHERE owner_id = 7"), 67500);
    cr_expect_eq(ask(world, "SELECT held / 100000000 FROM accounts WHERE owner_id = 7"), 32500);
    cr_expect_eq(
        ask(world, "SELECT count(*) FROM outbox WHERE topic = 'orders.accepted.v1' AND key = 'BTC-USD' AND type = "
                   "'penstock.orders.v1.OrderAccepted'"),
        1);
    cr_expect_eq(ask(world, "SELECT count(*) FROM outbox WHERE topic = 'orders.events.v1' AND key = '7'"), 1);
    check_invariants(world);
}

static const struct {
    const char *body;
    int status;
    const char *problem, *field;
} bad_orders[] = {
    { "{\"symbol\":\"DOGE-USD\",\"side\":\"buy\",\"type\":\"limit\",\"price\":\"1\",\"quantity\":\"1\"}", 422,
        "unknown-symbol", "symbol" },
    { ORDER("buy", ",\"price\":\"0\",\"quantity\":\"1\""), 422, "invalid-price", "price" },
    { ORDER("buy", ",\"price\":\"-1\",\"quantity\":\"1\""), 422, "invalid-price", "price" },
    { ORDER("buy", ",\"price\":\"1.001\",\"quantity\":\"1\""), 422, "invalid-price", "price" },
    { ORDER("buy", ",\"price\":\"99999999999999999999\",\"quantity\":\"1\""), 422, "invalid-price", "price" },
    { ORDER("buy", ",\"price\":\"abc\",\"quantity\":\"1\""), 400, "invalid-price", "price" },
    { ORDER("buy", ",\"price\":\"1\",\"quantity\":\"0\""), 422, "invalid-quantity", "quantity" },
    { ORDER("buy", ",\"price\":\"1\",\"quantity\":\"-1\""), 422, "invalid-quantity", "quantity" },
    { ORDER("buy", ",\"price\":\"1\",\"quantity\":\"0.0000001\""), 422, "invalid-quantity", "quantity" },
    { ORDER("buy", ",\"price\":\"1\",\"quantity\":\"99999999999\""), 422, "invalid-quantity", "quantity" },
    { ORDER("buy", ",\"quantity\":\"1\""), 400, "missing-field", "price" },
    { ORDER("buy", ",\"price\":\"1\""), 400, "missing-field", "quantity" },
    { "{\"side\":\"buy\",\"type\":\"limit\",\"price\":\"1\",\"quantity\":\"1\"}", 400, "missing-field", "symbol" },
    { "{\"symbol\":\"BTC-USD\",\"type\":\"limit\",\"price\":\"1\",\"quantity\":\"1\"}", 400, "missing-field", "side" },
    { "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"price\":\"1\",\"quantity\":\"1\"}", 400, "missing-field", "type" },
    { ORDER("buy", ",\"price\":1,\"quantity\":\"1\""), 400, "wrong-type", "price" },
    { ORDER("buy", ",\"price\":\"1\",\"quantity\":1"), 400, "wrong-type", "quantity" },
    { ORDER("buy", ",\"price\":\"1\",\"quantity\":\"1\",\"post_only\":\"yes\""), 400, "wrong-type", "post_only" },
    { ORDER("hold", ",\"price\":\"1\",\"quantity\":\"1\""), 400, "unknown-value", "side" },
    { ORDER("BUY", ",\"price\":\"1\",\"quantity\":\"1\""), 400, "unknown-value", "side" },
    { "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":\"iceberg\",\"price\":\"1\",\"quantity\":\"1\"}", 400,
        "unknown-value", "type" },
    { ORDER("buy", ",\"price\":\"1\",\"quantity\":\"1\",\"time_in_force\":\"DAY\""), 400, "unknown-value",
        "time_in_force" },
    { ORDER("buy", ",\"price\":\"1\",\"quantity\":\"1\",\"time_in_force\":\"GTD\""), 400, "missing-field",
        "expires_at" },
    { ORDER("buy",
          ",\"price\":\"1\",\"quantity\":\"1\",\"time_in_force\":\"GTD\",\"expires_at\":\"2020-01-01T00:00:00Z\""),
        422, "invalid-expiry", "expires_at" },
    { ORDER("buy", ",\"price\":\"1\",\"quantity\":\"1\",\"time_in_force\":\"GTD\",\"expires_at\":\"tomorrow\""), 400,
        "invalid-time", "expires_at" },
    { ORDER("buy", ",\"price\":\"1\",\"quantity\":\"1\",\"expires_at\":\"2040-01-01T00:00:00Z\""), 422,
        "invalid-expiry", "expires_at" },
    { ORDER("buy", ",\"price\":\"1\",\"quantity\":\"1\",\"stop_price\":\"1\""), 422, "invalid-stop-price",
        "stop_price" },
    { ORDER("buy", ",\"price\":\"1\",\"quantity\":\"1\",\"display_quantity\":\"2\""), 422, "invalid-display-quantity",
        "display_quantity" },
    { ORDER("buy", ",\"price\":\"1\",\"quantity\":\"1\",\"display_quantity\":\"x\""), 400, "invalid-display-quantity",
        "display_quantity" },
    { ORDER("buy", ",\"price\":\"1\",\"quote_amount\":\"1\""), 422, "unsupported", "quote_amount" },
    { ORDER("buy", ",\"price\":\"1\",\"quantity\":\"1\",\"post_only_mode\":\"slide\""), 422, "unsupported",
        "post_only_mode" },
    { ORDER("buy", ",\"price\":\"1\",\"quantity\":\"1\",\"post_only\":true,\"post_only_mode\":\"hide\""), 400,
        "unknown-value", "post_only_mode" },
    { ORDER("buy", ",\"price\":\"1\",\"quantity\":\"1\",\"self_trade_prevention\":\"none\""), 400, "unknown-value",
        "self_trade_prevention" },
    { "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":\"stop\",\"price\":\"1\",\"stop_price\":\"1\","
      "\"quantity\":\"1\"}",
        422, "invalid-price", "price" },
    { "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":\"stop\",\"quantity\":\"1\"}", 400, "missing-field",
        "stop_price" },
    { "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":\"stop_limit\",\"price\":\"1\",\"stop_price\":\"1.001\","
      "\"quantity\":\"1\"}",
        422, "invalid-stop-price", "stop_price" },
    { "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":\"market\",\"quantity\":\"1\",\"quote_amount\":\"1\"}", 422,
        "invalid-quantity", "quantity" },
    { "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":\"market\",\"quote_amount\":\"0\"}", 422,
        "invalid-quote-amount", "quote_amount" },
    { "{\"symbol\":\"BTC-USD\",\"side\":\"sell\",\"type\":\"market\",\"quote_amount\":\"90000000\"}", 422,
        "invalid-quote-amount", "quote_amount" },
    { ORDER("buy", ",\"price\":\"1\",\"quantity\":\"1\",\"leverage\":\"10\""), 400, "unknown-field", "leverage" },
    { ORDER("buy", ",\"price\":\"1\",\"quantity\":\"1\",\"client_order_id\":\"a\\u0007\""), 422,
        "invalid-client-order-id", "client_order_id" },
    { ORDER("sell", ",\"price\":\"1\",\"quantity\":\"1\""), 422, "", "" },    /* no BTC */
    { ORDER("buy", ",\"price\":\"65000\",\"quantity\":\"2\""), 422, "", "" }, /* not so much USD */
};

Test(place_order, every_bad_input_is_answered_by_its_status_problem_and_field_and_changes_nothing)
{
    struct world *world = rich_world();
    int64_t before = everything(world);
    for (size_t i = 0; i < ARRAY_LEN(bad_orders); i++) {
        struct answer answer = place(world, 7, "bad", bad_orders[i].body);
        cr_expect(answer.status == bad_orders[i].status && strcmp(answer.problem, bad_orders[i].problem) == 0 &&
                      strcmp(answer.field, bad_orders[i].field) == 0,
            "%s: %d %s %s %s", bad_orders[i].body, answer.status, answer.problem, answer.field, answer.message);
    }
    cr_expect_eq(everything(world), before, "something was changed by a refusal");
    cr_expect_eq(place(world, 7, "bad", BUY_HALF).status, 201, "a refusal does not claim the key");
    cr_expect_eq(place(world, 7, NULL, BUY_HALF).status, 400, "a key is needed");
    check_invariants(world);
}

Test(place_order, too_little_money_is_answered_with_what_is_available)
{
    struct world *world = rich_world();
    struct answer answer = place(world, 7, "k", ORDER("buy", ",\"price\":\"100000.01\",\"quantity\":\"1\""));
    cr_expect_eq(answer.status, 422);
    cr_expect_str_eq(text_of(&answer, "available"), "100000");
    cr_expect_str_eq(text_of(&answer, "asset"), "USD");
    cr_expect(strstr(text_of(&answer, "type"), "insufficient-funds"));
    cr_expect(strstr(text_of(&answer, "detail"), "100000.01 USD are needed, 100000 are available"), "%s",
        text_of(&answer, "detail"));
}

Test(place_order, the_same_key_is_answered_the_same_and_another_body_under_it_is_refused)
{
    struct world *world = rich_world();
    struct answer first = place(world, 7, "k", BUY_HALF);
    struct answer again = place(world, 7, "k",
        "{ \"quantity\":\"0.5\", \"price\":\"65000\", \"type\":\"limit\", "
        "\"side\":\"buy\", \"symbol\":\"BTC-USD\" }");
    cr_expect(again.status == 201 && again.replayed && !first.replayed && json_equal(first.json, again.json));
    struct answer other = place(world, 7, "k", ORDER("buy", ",\"price\":\"65000\",\"quantity\":\"0.6\""));
    cr_expect(other.status == 422 && strcmp(other.problem, "idempotency-key-reused") == 0);
    struct answer elsewhere = top_up(world, 7, "k", "{\"currency\":\"USD\",\"amount\":\"1\"}");
    cr_expect(elsewhere.status == 422 && strcmp(elsewhere.problem, "idempotency-key-reused") == 0);
    cr_expect_eq(
        top_up(world, 8, "k", "{\"currency\":\"USD\",\"amount\":\"1\"}").status, 201, "keys are each user's own");
    cr_expect_eq(ask(world, "SELECT count(*) FROM orders"), 1);
    check_invariants(world);
}

Test(place_order, a_client_order_id_is_used_once_for_ever_within_a_batch_and_across)
{
    struct world *world = rich_world();
    const char *body = ORDER("buy", ",\"price\":\"1\",\"quantity\":\"1\",\"client_order_id\":\"mine\"");
    struct ask asks[] = { { 7, "POST", "/orders", NULL, "a", body, NULL },
        { 7, "POST", "/orders", NULL, "b", body, NULL } };
    struct answer answers[2];
    cr_assert(command_batch(world->pg, world->outbox, asks, answers, 2));
    answers_taken(answers, 2);
    cr_expect(answers[0].status == 201 && answers[1].status == 409);
    cr_expect_str_eq(answers[1].problem, "client-order-id-reused");
    cr_expect_eq(place(world, 7, "c", body).status, 409);
    cr_assert_eq(top_up(world, 8, "t", "{\"currency\":\"USD\",\"amount\":\"10\"}").status, 201);
    cr_expect_eq(place(world, 8, "d", body).status, 201, "another user's is his own");
    check_invariants(world);
}

Test(place_order, in_a_batch_each_order_sees_the_holds_before_it_and_a_bad_one_fails_alone)
{
    struct world *world = rich_world();
    const char *sixty = ORDER("buy", ",\"price\":\"60000\",\"quantity\":\"1\"");
    struct ask asks[] = {
        { 7, "POST", "/orders", NULL, "a", sixty, NULL },
        { 7, "POST", "/orders", NULL, "b", sixty, NULL }, /* 40,000 are left */
        { 7, "POST", "/orders", NULL, "c", ORDER("buy", ",\"price\":\"x\",\"quantity\":\"1\""), NULL },
        { 9, "POST", "/fund/topup", NULL, "d", "{\"currency\":\"USD\",\"amount\":\"60000\"}", NULL },
        { 9, "POST", "/orders", NULL, "e", sixty, NULL }, /* with the money of the same batch */
        { 7, "POST", "/orders", NULL, "a", sixty, NULL },
        { 7, "POST", "/orders", NULL, "f", ORDER("buy", ",\"price\":\"40000\",\"quantity\":\"1\""), NULL },
    };
    static const int expected[] = { 201, 422, 400, 201, 201, 201, 201 };
    struct answer answers[ARRAY_LEN(asks)];
    cr_assert(command_batch(world->pg, world->outbox, asks, answers, ARRAY_LEN(asks)));
    answers_taken(answers, ARRAY_LEN(asks));
    for (size_t i = 0; i < ARRAY_LEN(asks); i++)
        cr_expect_eq(answers[i].status, expected[i], "request %zu: %d %s", i, answers[i].status, answers[i].message);
    cr_expect(answers[5].replayed && json_equal(answers[0].json, answers[5].json));
    cr_expect_eq(ask(world, "SELECT available FROM accounts WHERE owner_id = 7"), 0);
    cr_expect_eq(ask(world, "SELECT count(*) FROM orders"), 3);
    cr_expect_eq(ask(world, "SELECT count(*) FROM (SELECT id, lag(id) OVER (ORDER BY id) FROM outbox WHERE topic = "
                            "'orders.accepted.v1' AND type LIKE '%OrderAccepted') x"),
        3);
    check_invariants(world);
}

Test(place_order, a_market_order_is_protected_by_the_band_and_a_halted_market_takes_none)
{
    struct world *world = rich_world();
    const char *body = "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":\"market\",\"quantity\":\"0.1\"}";
    struct answer answer = place(world, 7, "m", body);
    cr_assert_eq(answer.status, 201, "%s", answer.message);
    cr_expect_str_eq(text_of(&answer, "protection_price"), "68250.00");
    cr_expect_str_eq(text_of(&answer, "time_in_force"), "IOC");
    ask(world, "INSERT INTO market_progress (market_id, last_posting_seq, last_seq, last_price_ticks) VALUES (1, 1, 1, "
               "5000000)");
    answer = place(world, 7, "n", body);
    cr_expect_str_eq(text_of(&answer, "protection_price"), "52500.00", "the last price comes before the reference");
    ask(world, "UPDATE markets SET status = 2 WHERE id = 1");
    answer = place(world, 7, "o", body);
    cr_expect(
        answer.status == 422 && strcmp(answer.problem, "market-not-open") == 0, "%d %s", answer.status, answer.problem);
    answer = place(world, 7, "m", body);
    cr_expect(answer.status == 201 && answer.replayed, "what was answered stays answered");
}

Test(top_up, bad_input_is_refused_and_funding_can_be_switched_off)
{
    static const struct {
        const char *body;
        int status;
        const char *problem, *field;
    } cases[] = {
        { "{\"currency\":\"XXX\",\"amount\":\"1\"}", 422, "unknown-currency", "currency" },
        { "{\"currency\":\"USD\",\"amount\":\"0\"}", 422, "invalid-amount", "amount" },
        { "{\"currency\":\"USD\",\"amount\":\"-5\"}", 422, "invalid-amount", "amount" },
        { "{\"currency\":\"USD\",\"amount\":\"0.000000001\"}", 422, "invalid-amount", "amount" },
        { "{\"currency\":\"USD\",\"amount\":\"92233720369\"}", 422, "invalid-amount", "amount" },
        { "{\"currency\":\"USD\",\"amount\":\"1e3\"}", 400, "invalid-amount", "amount" },
        { "{\"currency\":\"USD\",\"amount\":5}", 400, "wrong-type", "amount" },
        { "{\"currency\":\"USD\"}", 400, "missing-field", "amount" },
        { "{\"amount\":\"5\"}", 400, "missing-field", "currency" },
        { "{\"currency\":\"USD\",\"amount\":\"92233720368.5\"}", 422, "overflow", "amount" }, /* with what is there */
    };
    struct world *world = rich_world();
    int64_t before = everything(world);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer answer = top_up(world, 7, "bad", cases[i].body);
        cr_expect(answer.status == cases[i].status && strcmp(answer.problem, cases[i].problem) == 0 &&
                      strcmp(answer.field, cases[i].field) == 0,
            "%s: %d %s %s", cases[i].body, answer.status, answer.problem, answer.field);
    }
    world_service()->settings.funding_mode = FUNDING_OFF;
    struct answer off = top_up(world, 7, "off", "{\"currency\":\"USD\",\"amount\":\"1\"}");
    cr_expect(off.status == 403 && strcmp(off.problem, "funding-disabled") == 0);
    cr_expect_eq(everything(world), before, "something was changed by a refusal");
}

Test(top_up, is_balanced_by_the_funding_account_and_answers_with_the_balance)
{
    struct world *world = rich_world();
    struct answer answer =
        top_up(world, 7, "k", "{\"currency\":\"USD\",\"amount\":\"0.00000001\",\"reference\":\"card 4\"}");
    cr_expect_eq(answer.status, 201);
    cr_expect_str_eq(
        json_string_value(json_object_get(json_object_get(answer.json, "balance"), "available")), "100000.00000001");
    cr_expect_eq(ask(world, "SELECT available FROM accounts WHERE kind = 2"), -10000000000001);
    cr_expect_eq(ask(world, "SELECT count(*) FROM topups WHERE reference = 'card 4'"), 1);
    cr_expect_eq(ask(world, "SELECT count(*) FROM outbox WHERE topic = 'topups.events.v1' AND key = '7'"), 2);
    check_invariants(world);
}

Test(cancel_order, is_passed_on_once_and_refused_where_there_is_nothing_to_cancel)
{
    struct world *world = rich_world();
    struct answer order = place(world, 7, "k", BUY_HALF);
    const char *id = text_of(&order, "order_id");
    struct answer first = cancel(world, 7, id), again = cancel(world, 7, id);
    cr_expect(first.status == 202 && again.status == 202 && json_equal(first.json, again.json));
    cr_expect_str_eq(text_of(&first, "status"), "cancel_requested");
    cr_expect_eq(
        ask(world, "SELECT count(*) FROM outbox WHERE topic = 'orders.accepted.v1' AND type LIKE '%CancelAccepted'"), 1,
        "the engine is told once");
    static const char *const strangers[] = { "999999", "0", "abc", "-1", "99999999999999999999", "1e3" };
    for (size_t i = 0; i < ARRAY_LEN(strangers); i++) {
        struct answer none = cancel(world, 7, strangers[i]);
        cr_expect(
            none.status == 404 && strcmp(none.problem, "order-not-found") == 0, "%s: %d", strangers[i], none.status);
    }
    cr_expect_eq(cancel(world, 8, id).status, 404, "someone else's order");
    ask(world, "UPDATE orders SET status = 4, held_minor = 0, reason = 1");
    struct answer closed = cancel(world, 7, id);
    cr_expect(closed.status == 409 && strcmp(closed.problem, "order-not-open") == 0);
}

Test(reads, show_what_was_written_and_nobody_elses)
{
    struct world *world = rich_world();
    char id[32];
    for (int i = 0; i < 5; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%d", i);
        struct answer order = place(world, 7, key, ORDER("buy", ",\"price\":\"100\",\"quantity\":\"1\""));
        snprintf(id, sizeof id, "%s", text_of(&order, "order_id"));
    }
    struct answer one = get(world, get_order, (struct ask){ .user_id = 7, .method = "GET", .path = "/", .id = id });
    cr_expect(one.status == 200 && strcmp(text_of(&one, "order_id"), id) == 0);
    cr_expect_eq(
        get(world, get_order, (struct ask){ .user_id = 8, .method = "GET", .path = "/", .id = id }).status, 404);
    cr_expect_eq(
        get(world, get_order, (struct ask){ .user_id = 7, .method = "GET", .path = "/", .id = "x" }).status, 404);

    struct answer page =
        get(world, get_orders, (struct ask){ .user_id = 7, .query = "limit=3&status=open&symbol=BTC-USD" });
    cr_expect_eq(json_array_size(json_object_get(page.json, "orders")), 3);
    char query[64];
    snprintf(query, sizeof query, "limit=3&before=%s", text_of(&page, "next_before"));
    page = get(world, get_orders, (struct ask){ .user_id = 7, .query = query });
    cr_expect_eq(json_array_size(json_object_get(page.json, "orders")), 2);
    cr_expect(json_is_null(json_object_get(page.json, "next_before")));
    cr_expect_eq(get(world, get_orders, (struct ask){ .user_id = 7, .query = "status=nonsense" }).status, 400);
    cr_expect_eq(get(world, get_orders, (struct ask){ .user_id = 7, .query = "symbol=NO-NO" }).status, 422);
    cr_expect_eq(get(world, get_orders, (struct ask){ .user_id = 7, .query = "limit=0" }).status, 400);

    struct answer mine = get(world, get_portfolio, (struct ask){ .user_id = 7 });
    json_t *usd = json_array_get(json_object_get(mine.json, "balances"), 0);
    cr_expect_str_eq(json_string_value(json_object_get(usd, "available")), "99500");
    cr_expect_str_eq(json_string_value(json_object_get(usd, "held")), "500");
    cr_expect_str_eq(json_string_value(json_object_get(usd, "total")), "100000");
    cr_expect_eq(get(world, get_portfolio_of, (struct ask){ .user_id = 8, .id = "7" }).status, 404);
    cr_expect_eq(get(world, get_portfolio_of, (struct ask){ .user_id = 7, .id = "7" }).status, 200);
    cr_expect_eq(
        get(world, get_portfolio_of, (struct ask){ .user_id = 0, .id = "7" }).status, 200, "a service may ask");

    struct answer entries = get(world, get_entries, (struct ask){ .user_id = 7, .query = "limit=2&asset=USD" });
    cr_expect_eq(json_array_size(json_object_get(entries.json, "entries")), 2);
    struct answer markets = get(world, get_markets, (struct ask){ .user_id = 0 });
    cr_expect_eq(json_array_size(json_object_get(markets.json, "markets")), 2);
    struct answer trades = get(world, get_trades, (struct ask){ .user_id = 7 });
    cr_expect_eq(json_array_size(json_object_get(trades.json, "trades")), 0);
}
