/* order_rules.h -- what a valid order is, what it costs, and its decimals as ticks and lots. Pure. */
#pragma once

#include "types.h"

#include <event_bus/error.h>

/* As asked: texts are borrowed and NUL-terminated, "" is none; enumerations may hold any number. */
struct order_request {
    const char *symbol;
    int side, type, time_in_force; /* time_in_force 0: the type's default */
    const char *price;
    const char *quantity;
    const char *client_order_id;
    const char *stop_price;
    const char *quote_amount;
    const char *display_quantity;
    int64_t expires_at_us; /* 0: none */
    int post_only_mode, self_trade_prevention;
    bool post_only;
};

/* What the rules need to know of the moment. */
struct order_context {
    const struct market *market;
    int64_t last_price_ticks; /* 0: the market's reference price stands in */
    int64_t band_price_ticks; /* what the price band is measured from; 0: none was set */
    int64_t now_us;
};

/* As understood. What an order does not have is 0. */
struct order_terms {
    enum side side;
    enum order_type type;
    enum time_in_force time_in_force;
    bool post_only;
    enum post_only_mode post_only_mode;
    enum self_trade_prevention self_trade_prevention;
    int64_t price_ticks;   /* limit, or protection limit of a market or stop order */
    int64_t quantity_lots; /* 0: a buy by quote amount */
    int64_t stop_price_ticks, quote_minor, display_lots, expires_at_us;
    const struct asset *hold_asset;
    int64_t hold_minor; /* what must be set aside */
};

/* What can be said without knowing the market. Errors: INVALID (missing-field, unknown-value), REFUSED (unsupported,
 * invalid-price, invalid-quantity, invalid-client-order-id, …), each with its field. */
MUST_CHECK bool order_check(const struct order_request *request, struct error *e);

/* The request has passed order_check(). Errors: INVALID for text that is no decimal; REFUSED (invalid-price,
 * invalid-quantity, invalid-notional, price-band, invalid-expiry, market-not-open, no-reference-price). */
MUST_CHECK bool order_terms(const struct order_request *request, const struct order_context *context,
    struct order_terms *ret_terms, struct error *e);

/* "" stands for what the order has. */
struct amend_request {
    const char *price, *quantity;
};

/* An open order's new price and total quantity, and what must be set aside besides what it holds, so that it is covered
 * whatever is filled before the engine gets to it. Errors: as order_terms(); CONFLICT amend-in-flight. */
struct amend_terms {
    int64_t price_ticks, quantity_lots, extra_hold_minor;
};
MUST_CHECK bool amend_terms(const struct amend_request *request, const struct order_context *context,
    const struct order *order, struct amend_terms *ret_terms, struct error *e);

/* A decimal amount > 0 in the asset's minor units. Errors: INVALID, REFUSED, both under `problem`. */
MUST_CHECK bool amount_parse(const char *text, const struct asset *asset, const char *problem, const char *field,
    int64_t *ret_minor, struct error *e);

/* false: does not fit into int64. */
MUST_CHECK bool notional_minor(
    const struct market *market, int64_t price_ticks, int64_t quantity_lots, int64_t *ret_minor);
MUST_CHECK bool hold_minor(
    const struct market *market, enum side side, int64_t price_ticks, int64_t quantity_lots, int64_t *ret_minor);
const struct asset *hold_asset(const struct market *market, enum side side);

/* Printable ASCII or UTF-8 without control characters. */
bool input_is_utf8(const char *text);
bool input_is_clean(const char *text);
