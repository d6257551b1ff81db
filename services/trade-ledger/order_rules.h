/* order_rules.h -- what a valid order is, what it costs, and its decimals as ticks and lots. Pure. */
#pragma once

#include "types.h"

#include <event_bus/error.h>

/* As asked: texts are borrowed and NUL-terminated; enumerations may hold any number. */
struct order_request {
    const char *symbol;
    int side, type, time_in_force; /* time_in_force 0: the type's default */
    const char *price;             /* "": none */
    const char *quantity;
    const char *client_order_id; /* "": none */
    bool post_only;
};

/* As understood. */
struct order_terms {
    enum side side;
    enum order_type type;
    enum time_in_force time_in_force;
    bool post_only;
    int64_t price_ticks; /* limit, or protection limit of a market order */
    int64_t quantity_lots;
    const struct asset *hold_asset;
    int64_t hold_minor; /* what must be set aside */
};

/* What can be said without knowing the market. Errors: INVALID (missing-field, unknown-value), REFUSED (unsupported,
 * invalid-price, invalid-client-order-id). */
MUST_CHECK bool order_check(const struct order_request *request, struct error *e);

/* last_price_ticks 0: the market's reference price stands in. The request has passed order_check(). Errors: INVALID for
 * text that is no decimal; REFUSED (invalid-price, invalid-quantity, market-not-open, no-reference-price). */
MUST_CHECK bool order_terms(const struct order_request *request, const struct market *market, int64_t last_price_ticks,
    struct order_terms *ret_terms, struct error *e);

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
bool input_is_clean(const char *text);
