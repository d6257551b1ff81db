#include "engine_core.h"

const char *engine_verdict_field(enum engine_verdict verdict)
{
    static const char *const fields[ENGINE_VERDICTS] = {
        [ENGINE_OK] = "",
        [ENGINE_BAD_COMMAND] = "kind",
        [ENGINE_BAD_MARKET] = "symbol",
        [ENGINE_BAD_ORDER_ID] = "order_id",
        [ENGINE_BAD_USER_ID] = "user_id",
        [ENGINE_BAD_SIDE] = "side",
        [ENGINE_BAD_TYPE] = "type",
        [ENGINE_BAD_TIME_IN_FORCE] = "time_in_force",
        [ENGINE_BAD_POST_ONLY] = "post_only_mode",
        [ENGINE_BAD_SELF_TRADE] = "self_trade_prevention",
        [ENGINE_BAD_PRICE] = "price_ticks",
        [ENGINE_BAD_QUANTITY] = "quantity_lots",
        [ENGINE_BAD_STOP_PRICE] = "stop_price_ticks",
        [ENGINE_BAD_QUOTE_AMOUNT] = "quote_minor",
        [ENGINE_BAD_DISPLAY] = "display_lots",
        [ENGINE_BAD_EXPIRY] = "expires_at_us",
        [ENGINE_BAD_FEES] = "fees",
        [ENGINE_BAD_HOLD] = "hold_minor",
        [ENGINE_BAD_AMEND_ID] = "amend_id",
        [ENGINE_BAD_QUOTES] = "orders",
        [ENGINE_DUPLICATE_ORDER] = "order_id",
        [ENGINE_BAD_CONFIG] = "config",
        [ENGINE_TOO_MANY_MARKETS] = "symbol",
        [ENGINE_TOO_MANY_KILLED] = "user_id",
    };
    return verdict < ENGINE_VERDICTS ? fields[verdict] : "";
}

const char *engine_verdict_text(enum engine_verdict verdict)
{
    static const char *const texts[ENGINE_VERDICTS] = {
        [ENGINE_OK] = "fine",
        [ENGINE_BAD_COMMAND] = "unknown command",
        [ENGINE_BAD_MARKET] = "no such market was configured",
        [ENGINE_BAD_ORDER_ID] = "the order id must be above 0",
        [ENGINE_BAD_USER_ID] = "the user id must be above 0",
        [ENGINE_BAD_SIDE] = "unknown side",
        [ENGINE_BAD_TYPE] = "unknown order type",
        [ENGINE_BAD_TIME_IN_FORCE] = "unknown time in force",
        [ENGINE_BAD_POST_ONLY] = "unknown post-only mode",
        [ENGINE_BAD_SELF_TRADE] = "unknown mode of self-trade prevention",
        [ENGINE_BAD_PRICE] = "the price must be above 0",
        [ENGINE_BAD_QUANTITY] = "the quantity must be above 0",
        [ENGINE_BAD_STOP_PRICE] = "stop orders, and only they, have a stop price above 0",
        [ENGINE_BAD_QUOTE_AMOUNT] = "only a market order may have a quote amount, and a buy by it has no quantity",
        [ENGINE_BAD_DISPLAY] = "at least one lot and at most the quantity can be shown",
        [ENGINE_BAD_EXPIRY] = "GTD orders, and only they, have an expiry above 0",
        [ENGINE_BAD_FEES] = "a fee is at most all that is received",
        [ENGINE_BAD_HOLD] = "the hold is not what price and quantity ask for",
        [ENGINE_BAD_AMEND_ID] = "the amend id must be above 0",
        [ENGINE_BAD_QUOTES] = "quotes have a set above 0 and are at most 100 limit GTC orders of one user",
        [ENGINE_DUPLICATE_ORDER] = "an order with this id is open",
        [ENGINE_BAD_CONFIG] = "a value is out of range, or lot, notional unit or assets of a market changed",
        [ENGINE_TOO_MANY_MARKETS] = "the shard's limit of markets is reached",
        [ENGINE_TOO_MANY_KILLED] = "the shard's limit of blocked users is reached",
    };
    return verdict < ENGINE_VERDICTS ? texts[verdict] : "";
}

static const struct {
    const char *name, *text;
} amend_problems[ENGINE_AMEND_PROBLEMS] = {
    { "", "" },
    [ENGINE_AMEND_NOT_OPEN] = { "order-not-open", "the order is no longer open" },
    [ENGINE_AMEND_FOREIGN] = { "order-not-found", "there is no such order of yours" },
    [ENGINE_AMEND_ALREADY_FILLED] = { "quantity-already-filled", "as much or more was executed already" },
    [ENGINE_AMEND_WOULD_CROSS] = { "post-only-would-cross", "the order is post-only and would trade at this price" },
    [ENGINE_AMEND_MARKET_CLOSED] = { "market-not-open", "the market takes no amendments now" },
    [ENGINE_AMEND_KILLED] = { "kill-switch", "your kill switch is engaged in this market" },
    [ENGINE_AMEND_LIMITS] = { "outside-limits", "price, quantity or notional is outside what the market allows" },
    [ENGINE_AMEND_PRICE_BAND] = { "price-band", "the price is too far from the reference price" },
    [ENGINE_AMEND_UNCOVERED] = { "insufficient-funds", "what is held does not cover the order as amended" },
    [ENGINE_AMEND_UNSUPPORTED] = { "unsupported", "an order by quote amount cannot be amended" },
};

const char *engine_amend_problem_name(enum engine_amend_problem problem)
{
    return problem < ENGINE_AMEND_PROBLEMS ? amend_problems[problem].name : "";
}

const char *engine_amend_problem_text(enum engine_amend_problem problem)
{
    return problem < ENGINE_AMEND_PROBLEMS ? amend_problems[problem].text : "";
}
