#include "order_rules.h"

#include "../chassis/decimal.h"

#include <string.h>

static const int64_t ppm = 1000000;

/* A byte that begins or continues a character of more than one byte must do so by RFC 3629: no overlong form, no
 * surrogate, nothing past U+10FFFF. Returns the character's length, 0 if malformed. */
static size_t utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    }
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool beyond = (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f);
    return overlong || beyond ? 0 : len;
}

bool input_is_clean(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    while (*s) {
        size_t len = utf8_length(s);
        if (len == 0 || *s < 0x20 || *s == 0x7f)
            return false;
        s += len;
    }
    return true;
}

static bool check_enums(const struct order_request *request, struct error *e)
{
    if (request->side != SIDE_BUY && request->side != SIDE_SELL)
        return error_field(e, ERROR_INVALID, "unknown-value", "side", "side must be buy or sell");
    if (request->type < ORDER_LIMIT || request->type > ORDER_STOP_LIMIT)
        return error_field(e, ERROR_INVALID, "unknown-value", "type", "type must be limit, market, stop or stop_limit");
    if (request->time_in_force < TIF_DEFAULT || request->time_in_force > TIF_GTD)
        return error_field(
            e, ERROR_INVALID, "unknown-value", "time_in_force", "time_in_force must be GTC, IOC, FOK or GTD");
    return true;
}

/* What the engine does not do is refused here, before money is set aside. */
static bool check_supported(const struct order_request *request, struct error *e)
{
    bool market = request->type == ORDER_MARKET;
    if (request->type == ORDER_STOP || request->type == ORDER_STOP_LIMIT)
        return error_field(e, ERROR_REFUSED, "unsupported", "type", "stop orders are not offered in this market");
    if (request->time_in_force == TIF_GTD)
        return error_field(e, ERROR_REFUSED, "unsupported", "time_in_force", "only GTC, IOC and FOK are offered");
    if (market && request->time_in_force == TIF_GTC)
        return error_field(e, ERROR_REFUSED, "unsupported", "time_in_force", "a market order never rests: IOC or FOK");
    if (request->post_only && (market || request->time_in_force == TIF_IOC || request->time_in_force == TIF_FOK))
        return error_field(
            e, ERROR_REFUSED, "unsupported", "post_only", "only an order that may rest can be post-only");
    return true;
}

bool order_check(const struct order_request *request, struct error *e)
{
    if (!check_enums(request, e) || !check_supported(request, e))
        return false;
    if (request->symbol[0] == '\0')
        return error_field(e, ERROR_INVALID, "missing-field", "symbol", "symbol is missing");
    if (request->quantity[0] == '\0')
        return error_field(e, ERROR_INVALID, "missing-field", "quantity", "quantity is missing");
    if (request->type == ORDER_LIMIT && request->price[0] == '\0')
        return error_field(e, ERROR_INVALID, "missing-field", "price", "a limit order needs a price");
    if (request->type == ORDER_MARKET && request->price[0] != '\0')
        return error_field(e, ERROR_REFUSED, "invalid-price", "price", "a market order takes no price");
    if (strlen(request->client_order_id) > CLIENT_ORDER_ID_MAX || !input_is_clean(request->client_order_id))
        return error_field(e, ERROR_REFUSED, "invalid-client-order-id", "client_order_id",
            "client_order_id must be at most %d bytes without control characters", CLIENT_ORDER_ID_MAX);
    return true;
}

/* "-" and digits reads as a number: it is refused for its value, not for its form. */
static bool decimal_positive(
    const char *text, uint32_t scale, const char *problem, const char *field, int64_t *ret_minor, struct error *e)
{
    bool negative = text[0] == '-' && text[1] >= '0' && text[1] <= '9';
    int64_t minor;
    if (strlen(text) >= DECIMAL_FIELD_MAX)
        return error_field(e, ERROR_REFUSED, problem, field, "%s is out of range", field);
    if (!decimal_parse(negative ? text + 1 : text, scale, field, &minor, e)) {
        strncpy(e->problem, problem, sizeof e->problem - 1);
        return false;
    }
    if (negative || minor == 0)
        return error_field(e, ERROR_REFUSED, problem, field, "%s must be greater than zero", field);
    *ret_minor = minor;
    return true;
}

bool amount_parse(const char *text, const struct asset *asset, const char *problem, const char *field,
    int64_t *ret_minor, struct error *e)
{
    return decimal_positive(text, asset->scale, problem, field, ret_minor, e);
}

static bool price_parse(const char *text, const struct market *market, int64_t *ret_ticks, struct error *e)
{
    int64_t units;
    if (!decimal_positive(text, market->tick_scale, "invalid-price", "price", &units, e))
        return false;
    if (units % market->tick_units != 0)
        return error_field(
            e, ERROR_REFUSED, "invalid-price", "price", "price must be a multiple of the tick %s", market->tick_size);
    if (units / market->tick_units > market->max_price_ticks)
        return error_field(e, ERROR_REFUSED, "invalid-price", "price", "price is above this market's limit");
    *ret_ticks = units / market->tick_units;
    return true;
}

static bool quantity_parse(const char *text, const struct market *market, int64_t *ret_lots, struct error *e)
{
    int64_t minor;
    if (!decimal_positive(text, market->base->scale, "invalid-quantity", "quantity", &minor, e))
        return false;
    if (minor % market->lot_minor != 0)
        return error_field(e, ERROR_REFUSED, "invalid-quantity", "quantity",
            "quantity must be a multiple of the lot %s", market->lot_size);
    int64_t lots = minor / market->lot_minor;
    if (lots < market->min_quantity_lots)
        return error_field(e, ERROR_REFUSED, "invalid-quantity", "quantity", "quantity is below this market's minimum");
    if (lots > market->max_quantity_lots)
        return error_field(e, ERROR_REFUSED, "invalid-quantity", "quantity", "quantity is above this market's maximum");
    *ret_lots = lots;
    return true;
}

/* last × (1 ± band), rounded away from the last price for a buy and towards zero for a sell, within 1 … the market's
 * limit. */
static bool protection_price(
    const struct market *market, enum side side, int64_t last_price_ticks, int64_t *ret_ticks, struct error *e)
{
    int64_t base = last_price_ticks > 0 ? last_price_ticks : market->reference_price_ticks;
    if (base <= 0)
        return error_field(e, ERROR_REFUSED, "no-reference-price", "type",
            "a market order needs a price to measure from, and %s has not traded yet", market->symbol);
    __int128 ticks = side == SIDE_BUY ? ((__int128)base * (ppm + market->market_band_ppm) + ppm - 1) / ppm
                                      : (__int128)base * (ppm - market->market_band_ppm) / ppm;
    if (ticks > market->max_price_ticks)
        ticks = market->max_price_ticks;
    *ret_ticks = ticks < 1 ? 1 : (int64_t)ticks;
    return true;
}

bool notional_minor(const struct market *market, int64_t price_ticks, int64_t quantity_lots, int64_t *ret_minor)
{
    int64_t per_tick; /* all three are at least 1: a step that overflows means that the product does */
    return !__builtin_mul_overflow(quantity_lots, market->notional_unit_minor, &per_tick) &&
           !__builtin_mul_overflow(price_ticks, per_tick, ret_minor);
}

bool hold_minor(
    const struct market *market, enum side side, int64_t price_ticks, int64_t quantity_lots, int64_t *ret_minor)
{
    return side == SIDE_BUY ? notional_minor(market, price_ticks, quantity_lots, ret_minor)
                            : !__builtin_mul_overflow(quantity_lots, market->lot_minor, ret_minor);
}

const struct asset *hold_asset(const struct market *market, enum side side)
{
    return side == SIDE_BUY ? market->quote : market->base;
}

bool order_terms(const struct order_request *request, const struct market *market, int64_t last_price_ticks,
    struct order_terms *ret_terms, struct error *e)
{
    bool is_market = request->type == ORDER_MARKET;
    struct order_terms terms = {
        .side = (enum side)request->side,
        .type = (enum order_type)request->type,
        .time_in_force = request->time_in_force != TIF_DEFAULT ? (enum time_in_force)request->time_in_force
                         : is_market                           ? TIF_IOC
                                                               : TIF_GTC,
        .post_only = request->post_only,
    };
    terms.hold_asset = hold_asset(market, terms.side);
    if (market->status != MARKET_OPEN)
        return error_field(e, ERROR_REFUSED, "market-not-open", "symbol", "%s takes no orders now", market->symbol);
    if (!quantity_parse(request->quantity, market, &terms.quantity_lots, e))
        return false;
    if (!(is_market ? protection_price(market, terms.side, last_price_ticks, &terms.price_ticks, e)
                    : price_parse(request->price, market, &terms.price_ticks, e)))
        return false;
    /* A sell's notional must fit too: it is what its buyer pays. */
    int64_t notional;
    if (!notional_minor(market, terms.price_ticks, terms.quantity_lots, &notional) ||
        !hold_minor(market, terms.side, terms.price_ticks, terms.quantity_lots, &terms.hold_minor))
        return error_field(
            e, ERROR_REFUSED, "invalid-quantity", "quantity", "price times quantity is larger than can be booked");
    *ret_terms = terms;
    return true;
}
