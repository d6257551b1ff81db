#include "fixture.h"
#include "order_rules.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const struct order_request good_limit = { .symbol = "BTC-USD",
    .side = SIDE_BUY,
    .type = ORDER_LIMIT,
    .price = "65000.00",
    .quantity = "0.5",
    .client_order_id = "" };

static struct order_request with(const char *field, const char *value)
{
    struct order_request request = good_limit;
    if (strcmp(field, "price") == 0)
        request.price = value;
    else if (strcmp(field, "quantity") == 0)
        request.quantity = value;
    else if (strcmp(field, "symbol") == 0)
        request.symbol = value;
    else if (strcmp(field, "client_order_id") == 0)
        request.client_order_id = value;
    else
        cr_assert_fail("no such field: %s", field);
    return request;
}

enum { NOW_US = 1700000000 };

/* Texts that a case leaves out are "". */
static struct order_request complete(const struct order_request *given)
{
    struct order_request request = *given;
    const char **texts[] = { &request.symbol, &request.price, &request.quantity, &request.client_order_id,
        &request.stop_price, &request.quote_amount, &request.display_quantity };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        *texts[i] = *texts[i] ? *texts[i] : "";
    return request;
}

static bool check(const struct order_request *given, struct error *e)
{
    struct order_request request = complete(given);
    return order_check(&request, e);
}

static bool terms_at(const struct order_request *given, const struct market *market, int64_t last_price_ticks,
    struct order_terms *ret_terms, struct error *e)
{
    struct order_request request = complete(given);
    struct order_context context = { .market = market, .last_price_ticks = last_price_ticks, .now_us = NOW_US };
    return order_terms(&request, &context, ret_terms, e);
}

static bool judge(const struct order_request *request, struct order_terms *ret_terms, struct error *e)
{
    return check(request, e) && terms_at(request, fixture_btc_usd(), 0, ret_terms, e);
}

#define TEXT_65 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

Test(order_rules, every_bad_text_is_refused_with_its_problem_and_field)
{
    static const struct {
        const char *field, *value;
        enum error_kind kind;
        const char *problem;
    } cases[] = {
        { "price", "0", ERROR_REFUSED, "invalid-price" },
        { "price", "0.00", ERROR_REFUSED, "invalid-price" },
        { "price", "-1", ERROR_REFUSED, "invalid-price" },
        { "price", "-0", ERROR_REFUSED, "invalid-price" },
        { "price", "65000.001", ERROR_REFUSED, "invalid-price" },
        { "price", "1000000.01", ERROR_REFUSED, "invalid-price" },
        { "price", "92233720368547758.08", ERROR_REFUSED, "invalid-price" },
        { "price", "99999999999999999999999999999999999999999999999999999999999999999999", ERROR_REFUSED,
            "invalid-price" },
        { "price", "1e5", ERROR_INVALID, "invalid-price" },
        { "price", " 1", ERROR_INVALID, "invalid-price" },
        { "price", "1,000", ERROR_INVALID, "invalid-price" },
        { "price", "+1", ERROR_INVALID, "invalid-price" },
        { "price", "--1", ERROR_INVALID, "invalid-price" },
        { "price", ".5", ERROR_INVALID, "invalid-price" },
        { "price", "NaN", ERROR_INVALID, "invalid-price" },
        { "price", "", ERROR_INVALID, "missing-field" },
        { "quantity", "0", ERROR_REFUSED, "invalid-quantity" },
        { "quantity", "-0.5", ERROR_REFUSED, "invalid-quantity" },
        { "quantity", "0.0000001", ERROR_REFUSED, "invalid-quantity" },
        { "quantity", "0.000000001", ERROR_REFUSED, "invalid-quantity" },
        { "quantity", "1000.000001", ERROR_REFUSED, "invalid-quantity" },
        { "quantity", "92233720368.54775808", ERROR_REFUSED, "invalid-quantity" },
        { "quantity", "abc", ERROR_INVALID, "invalid-quantity" },
        { "quantity", "", ERROR_INVALID, "missing-field" },
        { "symbol", "", ERROR_INVALID, "missing-field" },
        { "client_order_id", TEXT_65, ERROR_REFUSED, "invalid-client-order-id" },
        { "client_order_id", "a\nb", ERROR_REFUSED, "invalid-client-order-id" },
        { "client_order_id", "\xff\xfe", ERROR_REFUSED, "invalid-client-order-id" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct order_request request = with(cases[i].field, cases[i].value);
        struct order_terms terms;
        struct error e = { 0 };
        cr_expect(!judge(&request, &terms, &e), "%s '%s' was taken", cases[i].field, cases[i].value);
        cr_expect(
            e.kind == cases[i].kind && strcmp(e.problem, cases[i].problem) == 0 && strcmp(e.field, cases[i].field) == 0,
            "%s '%s': %s, %s, %s", cases[i].field, cases[i].value, error_kind_name(e.kind), e.problem, e.field);
    }
}

Test(order_rules, unknown_values_are_refused_and_what_is_not_offered_is_said_to_be_unsupported)
{
    static const struct {
        struct order_request request;
        enum error_kind kind;
        const char *problem, *field;
    } cases[] = {
        { { .side = 0, .type = ORDER_LIMIT, .price = "1" }, ERROR_INVALID, "unknown-value", "side" },
        { { .side = 3, .type = ORDER_LIMIT, .price = "1" }, ERROR_INVALID, "unknown-value", "side" },
        { { .side = SIDE_BUY, .type = 0, .price = "1" }, ERROR_INVALID, "unknown-value", "type" },
        { { .side = SIDE_BUY, .type = 5, .price = "1" }, ERROR_INVALID, "unknown-value", "type" },
        { { .side = SIDE_BUY, .type = -1, .price = "1" }, ERROR_INVALID, "unknown-value", "type" },
        { { .side = SIDE_BUY, .type = ORDER_LIMIT, .price = "1", .time_in_force = 5 }, ERROR_INVALID, "unknown-value",
            "time_in_force" },
        { { .side = SIDE_BUY, .type = ORDER_STOP, .stop_price = "1", .price = "1" }, ERROR_REFUSED, "invalid-price",
            "price" },
        { { .side = SIDE_BUY, .type = ORDER_STOP }, ERROR_INVALID, "missing-field", "stop_price" },
        { { .side = SIDE_BUY, .type = ORDER_STOP, .stop_price = "1", .time_in_force = TIF_IOC }, ERROR_REFUSED,
            "unsupported", "time_in_force" },
        { { .side = SIDE_BUY, .type = ORDER_STOP_LIMIT, .price = "1" }, ERROR_INVALID, "missing-field", "stop_price" },
        { { .side = SIDE_BUY, .type = ORDER_STOP_LIMIT, .stop_price = "1" }, ERROR_INVALID, "missing-field", "price" },
        { { .side = SIDE_BUY, .type = ORDER_LIMIT, .price = "1", .stop_price = "1" }, ERROR_REFUSED,
            "invalid-stop-price", "stop_price" },
        { { .side = SIDE_BUY, .type = ORDER_LIMIT, .price = "1", .time_in_force = TIF_GTD }, ERROR_INVALID,
            "missing-field", "expires_at" },
        { { .side = SIDE_BUY, .type = ORDER_LIMIT, .price = "1", .expires_at_us = 1 }, ERROR_REFUSED, "invalid-expiry",
            "expires_at" },
        { { .side = SIDE_BUY, .type = ORDER_LIMIT, .price = "1", .post_only_mode = 3, .post_only = true },
            ERROR_INVALID, "unknown-value", "post_only_mode" },
        { { .side = SIDE_BUY, .type = ORDER_LIMIT, .price = "1", .post_only_mode = POST_ONLY_SLIDE }, ERROR_REFUSED,
            "unsupported", "post_only_mode" },
        { { .side = SIDE_BUY, .type = ORDER_LIMIT, .price = "1", .self_trade_prevention = 5 }, ERROR_INVALID,
            "unknown-value", "self_trade_prevention" },
        { { .side = SIDE_BUY, .type = ORDER_LIMIT, .price = "1", .time_in_force = TIF_IOC, .display_quantity = "1" },
            ERROR_REFUSED, "unsupported", "display_quantity" },
        { { .side = SIDE_BUY, .type = ORDER_MARKET, .display_quantity = "1" }, ERROR_REFUSED, "unsupported",
            "display_quantity" },
        { { .side = SIDE_BUY, .type = ORDER_LIMIT, .price = "1", .quote_amount = "1" }, ERROR_REFUSED, "unsupported",
            "quote_amount" },
        { { .side = SIDE_BUY, .type = ORDER_MARKET, .quote_amount = "1", .time_in_force = TIF_FOK }, ERROR_REFUSED,
            "unsupported", "time_in_force" },
        { { .side = SIDE_BUY, .type = ORDER_MARKET, .quote_amount = "1" }, ERROR_REFUSED, "invalid-quantity",
            "quantity" },
        { { .side = SIDE_BUY, .type = ORDER_MARKET, .price = "", .time_in_force = TIF_GTC }, ERROR_REFUSED,
            "unsupported", "time_in_force" },
        { { .side = SIDE_BUY, .type = ORDER_MARKET, .price = "", .post_only = true }, ERROR_REFUSED, "unsupported",
            "post_only" },
        { { .side = SIDE_BUY, .type = ORDER_LIMIT, .price = "1", .time_in_force = TIF_IOC, .post_only = true },
            ERROR_REFUSED, "unsupported", "post_only" },
        { { .side = SIDE_BUY, .type = ORDER_MARKET, .price = "1" }, ERROR_REFUSED, "invalid-price", "price" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct order_request request = cases[i].request;
        struct error e = { 0 };
        request.symbol = "BTC-USD";
        request.quantity = "1";
        request.client_order_id = "";
        cr_expect(!check(&request, &e), "case %zu was taken", i);
        cr_expect(
            e.kind == cases[i].kind && strcmp(e.problem, cases[i].problem) == 0 && strcmp(e.field, cases[i].field) == 0,
            "case %zu: %s, %s, %s", i, error_kind_name(e.kind), e.problem, e.field);
    }
}

Test(order_rules, a_limit_order_holds_price_times_quantity_to_buy_and_the_quantity_to_sell)
{
    struct order_terms buy, sell;
    struct error e = { 0 };
    struct order_request request = good_limit;
    cr_assert(judge(&request, &buy, &e), "%s", e.message);
    cr_expect(buy.price_ticks == 6500000 && buy.quantity_lots == 500000 && buy.time_in_force == TIF_GTC);
    cr_expect(buy.hold_asset->id == USD && buy.hold_minor == 32500 * USD_UNIT);

    request.side = SIDE_SELL;
    request.time_in_force = TIF_FOK;
    cr_assert(judge(&request, &sell, &e), "%s", e.message);
    cr_expect(sell.time_in_force == TIF_FOK && sell.hold_asset->id == BTC && sell.hold_minor == BTC_UNIT / 2);
}

Test(order_rules, a_market_order_is_immediate_and_protected_by_the_band_around_the_last_or_reference_price)
{
    static const struct {
        enum side side;
        int64_t last_price, expected;
    } cases[] = {
        { SIDE_BUY, 0, 6825000 },           /* reference 65,000.00 + 5 % */
        { SIDE_BUY, 1, 2 },                 /* 1.05 rounds up */
        { SIDE_BUY, 100000000, 100000000 }, /* never above the market's limit */
        { SIDE_SELL, 0, 6175000 },
        { SIDE_SELL, 1, 1 }, /* never below one tick */
        { SIDE_SELL, 1000, 950 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct order_request request = good_limit;
        struct order_terms terms;
        struct error e = { 0 };
        request.type = ORDER_MARKET;
        request.price = "";
        request.side = (int)cases[i].side;
        request.quantity = "0.000001";
        cr_assert(check(&request, &e) && terms_at(&request, fixture_btc_usd(), cases[i].last_price, &terms, &e), "%s",
            e.message);
        cr_expect(terms.price_ticks == cases[i].expected, "case %zu: %lld", i, (long long)terms.price_ticks);
        cr_expect(terms.time_in_force == TIF_IOC);
    }
}

Test(order_rules, a_market_order_without_any_price_to_measure_from_is_refused)
{
    struct order_request request = good_limit;
    struct order_terms terms;
    struct error e = { 0 };
    request.type = ORDER_MARKET;
    request.price = "";
    const struct market *eth = market_by_symbol(fixture_markets(), "ETH-USD");
    cr_assert(!terms_at(&request, eth, 0, &terms, &e));
    cr_expect_str_eq(e.problem, "no-reference-price");
    cr_expect_eq(e.kind, ERROR_REFUSED);
}

Test(order_rules, ticks_lots_and_minimum_of_the_market_are_kept)
{
    static const struct {
        const char *price, *quantity, *problem; /* problem NULL: taken */
    } cases[] = {
        { "100.05", "0.0001", NULL }, { "100.03", "0.0001", "invalid-price" }, /* tick 0.05 */
        { "100.05", "0.000101", "invalid-quantity" },                          /* lot 0.00001 */
        { "100.05", "0.00009", "invalid-quantity" },                           /* minimum 10 lots */
    };
    const struct market *eth = market_by_symbol(fixture_markets(), "ETH-USD");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct order_request request = good_limit;
        struct order_terms terms;
        struct error e = { 0 };
        request.price = cases[i].price;
        request.quantity = cases[i].quantity;
        bool ok = terms_at(&request, eth, 0, &terms, &e);
        cr_expect(
            ok == !cases[i].problem && (ok || strcmp(e.problem, cases[i].problem) == 0), "case %zu: %s", i, e.message);
    }
}

Test(order_rules, a_notional_that_does_not_fit_is_refused_and_a_closed_market_takes_nothing)
{
    struct market market = *fixture_btc_usd();
    struct order_request request = good_limit;
    struct order_terms terms;
    struct error e = { 0 };
    market.notional_unit_minor = INT64_MAX / 6500000;
    cr_assert(!terms_at(&request, &market, 0, &terms, &e));
    cr_expect_str_eq(e.problem, "invalid-quantity");

    market = *fixture_btc_usd();
    market.status = MARKET_HALTED;
    error_clear(&e);
    cr_assert(!terms_at(&request, &market, 0, &terms, &e));
    cr_expect_str_eq(e.problem, "market-not-open");
}

Test(order_rules, input_is_clean_when_it_is_utf8_without_control_characters)
{
    static const struct {
        const char *text;
        bool clean;
    } cases[] = { { "", true }, { "order 7 – caffè ☕ 𝄞", true }, { "\t", false }, { "\x7f", false }, { "\xc3", false },
        { "\xc0\xaf", false }, { "\xed\xa0\x80", false }, { "\xf5\x80\x80\x80", false }, { "\xf4\x90\x80\x80", false },
        { "\xe0\x80\x80", false }, { "\x80", false }, { "a\xf0\x9f\x98", false } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_expect(input_is_clean(cases[i].text) == cases[i].clean, "case %zu", i);
}
