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

bool input_is_utf8(const char *text)
{
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t len = utf8_length(s);
        if (len == 0)
            return false;
        s += len;
    }
    return true;
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

static bool unknown(struct error *e, const char *field, const char *names)
{
    return error_field(e, ERROR_INVALID, "unknown-value", field, "%s must be %s", field, names);
}

static bool missing(struct error *e, const char *field, const char *why)
{
    return error_field(e, ERROR_INVALID, "missing-field", field, "%s", why);
}

static bool unsupported(struct error *e, const char *field, const char *why)
{
    return error_field(e, ERROR_REFUSED, "unsupported", field, "%s", why);
}

static bool check_enums(const struct order_request *request, struct error *e)
{
    if (request->side != SIDE_BUY && request->side != SIDE_SELL)
        return unknown(e, "side", "buy or sell");
    if (request->type < ORDER_LIMIT || request->type > ORDER_STOP_LIMIT)
        return unknown(e, "type", "limit, market, stop or stop_limit");
    if (request->time_in_force < TIF_DEFAULT || request->time_in_force > TIF_GTD)
        return unknown(e, "time_in_force", "GTC, IOC, FOK or GTD");
    if (request->post_only_mode < POST_ONLY_DEFAULT || request->post_only_mode > POST_ONLY_SLIDE)
        return unknown(e, "post_only_mode", "reject or slide");
    if (request->self_trade_prevention < SELF_TRADE_DEFAULT || request->self_trade_prevention > SELF_TRADE_DECREMENT)
        return unknown(e, "self_trade_prevention", "cancel_newest, cancel_oldest, cancel_both or decrement");
    return true;
}

static enum time_in_force effective_tif(const struct order_request *request)
{
    return request->time_in_force != TIF_DEFAULT ? (enum time_in_force)request->time_in_force
           : request->type == ORDER_MARKET       ? TIF_IOC
                                                 : TIF_GTC;
}

/* What the engine does not do is refused here, before money is set aside. */
static bool check_supported(const struct order_request *request, struct error *e)
{
    enum time_in_force tif = effective_tif(request);
    bool rests = tif == TIF_GTC || tif == TIF_GTD,
         has_limit = request->type == ORDER_LIMIT || request->type == ORDER_STOP_LIMIT;
    if (request->type == ORDER_MARKET && rests)
        return unsupported(e, "time_in_force", "a market order never rests: IOC or FOK");
    if (request->type == ORDER_STOP && !rests)
        return unsupported(e, "time_in_force", "a stop order waits: GTC or GTD");
    if (request->post_only && !(has_limit && rests))
        return unsupported(e, "post_only", "only an order that may rest can be post-only");
    if (request->post_only_mode != POST_ONLY_DEFAULT && !request->post_only)
        return unsupported(e, "post_only_mode", "only a post-only order has a post_only_mode");
    if (request->display_quantity[0] && !(has_limit && rests))
        return unsupported(e, "display_quantity", "only an order that may rest can hide a part of it");
    if (request->quote_amount[0] && request->type != ORDER_MARKET)
        return unsupported(e, "quote_amount", "only a market order can be given by quote amount");
    if (request->quote_amount[0] && tif != TIF_IOC)
        return unsupported(e, "time_in_force", "an order by quote amount is IOC");
    return true;
}

static bool check_prices(const struct order_request *request, struct error *e)
{
    bool has_limit = request->type == ORDER_LIMIT || request->type == ORDER_STOP_LIMIT;
    bool stops = request->type == ORDER_STOP || request->type == ORDER_STOP_LIMIT;
    if (has_limit && !request->price[0])
        return missing(e, "price", "a limit order needs a price");
    if (!has_limit && request->price[0])
        return error_field(
            e, ERROR_REFUSED, "invalid-price", "price", "a %s order takes no price", stops ? "stop" : "market");
    if (stops && !request->stop_price[0])
        return missing(e, "stop_price", "a stop order needs a stop_price");
    if (!stops && request->stop_price[0])
        return error_field(
            e, ERROR_REFUSED, "invalid-stop-price", "stop_price", "only a stop order takes a stop_price");
    return true;
}

static bool check_expiry(const struct order_request *request, struct error *e)
{
    bool gtd = request->time_in_force == TIF_GTD;
    if (gtd && request->expires_at_us == 0)
        return missing(e, "expires_at", "a GTD order needs expires_at");
    if (!gtd && request->expires_at_us != 0)
        return error_field(e, ERROR_REFUSED, "invalid-expiry", "expires_at", "only a GTD order takes expires_at");
    return true;
}

bool order_check(const struct order_request *request, struct error *e)
{
    if (!check_enums(request, e) || !check_supported(request, e))
        return false;
    if (request->symbol[0] == '\0')
        return missing(e, "symbol", "symbol is missing");
    if (request->quantity[0] == '\0' && request->quote_amount[0] == '\0')
        return missing(e, "quantity", "quantity is missing");
    if (request->quantity[0] && request->quote_amount[0])
        return error_field(
            e, ERROR_REFUSED, "invalid-quantity", "quantity", "quantity and quote_amount exclude each other");
    if (!check_prices(request, e) || !check_expiry(request, e))
        return false;
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

static bool bad_price(struct error *e, const char *field, const char *why)
{
    return error_field(e, ERROR_REFUSED, strcmp(field, "price") == 0 ? "invalid-price" : "invalid-stop-price", field,
        "%s %s", field, why);
}

static bool price_parse(
    const char *text, const struct market *market, const char *field, int64_t *ret_ticks, struct error *e)
{
    int64_t units = 0;
    const char *problem = strcmp(field, "price") == 0 ? "invalid-price" : "invalid-stop-price";
    if (!decimal_positive(text, market->tick_scale, problem, field, &units, e))
        return false;
    if (units % market->tick_units != 0)
        return error_field(
            e, ERROR_REFUSED, problem, field, "%s must be a multiple of the tick %s", field, market->tick_size);
    int64_t ticks = units / market->tick_units;
    if (ticks > market->max_price_ticks)
        return bad_price(e, field, "is above this market's limit");
    if (ticks < market->min_price_ticks)
        return bad_price(e, field, "is below this market's limit");
    if (market->price_step_ticks > 1 && ticks % market->price_step_ticks != 0)
        return error_field(e, ERROR_REFUSED, problem, field, "%s must be a multiple of %lld ticks of %s", field,
            (long long)market->price_step_ticks, market->tick_size);
    *ret_ticks = ticks;
    return true;
}

static bool bad_quantity(struct error *e, const char *field, const char *why)
{
    return error_field(e, ERROR_REFUSED,
        strcmp(field, "quantity") == 0 ? "invalid-quantity" : "invalid-display-quantity", field, "%s %s", field, why);
}

static bool lots_parse(
    const char *text, const struct market *market, const char *field, int64_t *ret_lots, struct error *e)
{
    int64_t minor = 0;
    const char *problem = strcmp(field, "quantity") == 0 ? "invalid-quantity" : "invalid-display-quantity";
    if (!decimal_positive(text, market->base->scale, problem, field, &minor, e))
        return false;
    if (minor % market->lot_minor != 0)
        return error_field(
            e, ERROR_REFUSED, problem, field, "%s must be a multiple of the lot %s", field, market->lot_size);
    *ret_lots = minor / market->lot_minor;
    if (market->quantity_step_lots > 1 && *ret_lots % market->quantity_step_lots != 0)
        return error_field(e, ERROR_REFUSED, problem, field, "%s must be a multiple of %lld lots of %s", field,
            (long long)market->quantity_step_lots, market->lot_size);
    return true;
}

static bool quantity_parse(const char *text, const struct market *market, int64_t *ret_lots, struct error *e)
{
    int64_t lots = 0;
    if (!lots_parse(text, market, "quantity", &lots, e))
        return false;
    if (lots < market->min_quantity_lots)
        return bad_quantity(e, "quantity", "is below this market's minimum");
    if (lots > market->max_quantity_lots)
        return bad_quantity(e, "quantity", "is above this market's maximum");
    *ret_lots = lots;
    return true;
}

/* The highest price to buy and the lowest to sell at, from `base` by `band` parts per million, rounded away from it for
 * a buy and towards zero for a sell. */
static __int128 banded(enum side side, int64_t base, int32_t band_ppm)
{
    return side == SIDE_BUY ? ((__int128)base * (ppm + band_ppm) + ppm - 1) / ppm
                            : (__int128)base * (ppm - band_ppm) / ppm;
}

/* `base` × (1 ± band) within the market's limits and price band, on a step. */
static int64_t protection_price(const struct order_context *context, enum side side, int64_t base)
{
    const struct market *market = context->market;
    int64_t step = market->price_step_ticks > 1 ? market->price_step_ticks : 1;
    __int128 ticks = banded(side, base, market->market_band_ppm);
    if (market->price_band_ppm > 0 && context->band_price_ticks > 0) {
        __int128 high = (__int128)context->band_price_ticks * (ppm + market->price_band_ppm) / ppm;
        __int128 low = ((__int128)context->band_price_ticks * (ppm - market->price_band_ppm) + ppm - 1) / ppm;
        ticks = ticks > high ? high : ticks < low ? low : ticks;
    }
    if (ticks > market->max_price_ticks)
        ticks = market->max_price_ticks;
    if (ticks < market->min_price_ticks)
        ticks = market->min_price_ticks;
    ticks = side == SIDE_BUY ? ticks / step * step : (ticks + step - 1) / step * step;
    return ticks < 1 ? step : (int64_t)ticks;
}

/* A price further from the reference than the band allows is refused. */
static bool price_in_band(const struct order_context *context, int64_t price_ticks, const char *field, struct error *e)
{
    int32_t band = context->market->price_band_ppm;
    __int128 base = context->band_price_ticks, distance = (price_ticks - base) * ppm;
    if (band == 0 || base == 0 || ((distance < 0 ? -distance : distance) <= base * band))
        return true;
    return error_field(e, ERROR_REFUSED, "price-band", field,
        "%s is further than %d ppm from the reference price of %s", field, band, context->market->symbol);
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

static bool check_notional(const struct market *market, int64_t notional, struct error *e)
{
    if (market->min_notional_minor > 0 && notional < market->min_notional_minor)
        return error_field(
            e, ERROR_REFUSED, "invalid-notional", "quantity", "price times quantity is below this market's minimum");
    if (market->max_notional_minor > 0 && notional > market->max_notional_minor)
        return error_field(
            e, ERROR_REFUSED, "invalid-notional", "quantity", "price times quantity is above this market's maximum");
    return true;
}

static bool too_large(struct error *e)
{
    return error_field(
        e, ERROR_REFUSED, "invalid-quantity", "quantity", "price times quantity is larger than can be booked");
}

static bool market_takes(const struct market *market, const struct order_terms *terms, struct error *e)
{
    bool rests = terms->time_in_force == TIF_GTC || terms->time_in_force == TIF_GTD;
    if (market->status == MARKET_OPEN || (market->status == MARKET_AUCTION && terms->type == ORDER_LIMIT && rests))
        return true;
    return error_field(e, ERROR_REFUSED, "market-not-open", "symbol",
        market->status == MARKET_AUCTION ? "%s is in auction: it takes limit orders that rest"
                                         : "%s takes no orders now",
        market->symbol);
}

/* Stop price, limit or protection limit. */
static bool terms_prices(const struct order_request *request, const struct order_context *context,
    struct order_terms *terms, struct error *e)
{
    const struct market *market = context->market;
    bool stops = terms->type == ORDER_STOP || terms->type == ORDER_STOP_LIMIT;
    if (stops && !price_parse(request->stop_price, market, "stop_price", &terms->stop_price_ticks, e))
        return false;
    if (terms->type == ORDER_LIMIT || terms->type == ORDER_STOP_LIMIT)
        return price_parse(request->price, market, "price", &terms->price_ticks, e) &&
               price_in_band(context, terms->price_ticks, "price", e);
    if (terms->type == ORDER_STOP) {
        terms->price_ticks = protection_price(context, terms->side, terms->stop_price_ticks);
        return price_in_band(context, terms->stop_price_ticks, "stop_price", e);
    }
    int64_t base = context->last_price_ticks > 0 ? context->last_price_ticks : market->reference_price_ticks;
    if (base <= 0)
        return error_field(e, ERROR_REFUSED, "no-reference-price", "type",
            "a market order needs a price to measure from, and %s has not traded yet", market->symbol);
    terms->price_ticks = protection_price(context, terms->side, base);
    return true;
}

/* A sell by quote amount may sell as much as it takes at its worst price. */
static bool terms_quote_amount(
    const struct order_request *request, const struct market *market, struct order_terms *terms, struct error *e)
{
    if (!decimal_positive(request->quote_amount, market->quote->scale, "invalid-quote-amount", "quote_amount",
            &terms->quote_minor, e))
        return false;
    if (terms->side == SIDE_BUY)
        return true;
    __int128 lot_price = (__int128)terms->price_ticks * market->notional_unit_minor;
    __int128 step = market->quantity_step_lots > 1 ? market->quantity_step_lots : 1;
    __int128 lots = (terms->quote_minor + lot_price - 1) / lot_price;
    if (lots < market->min_quantity_lots)
        lots = market->min_quantity_lots;
    lots = (lots + step - 1) / step * step;
    if (lots > market->max_quantity_lots)
        return error_field(e, ERROR_REFUSED, "invalid-quote-amount", "quote_amount",
            "quote_amount may take more than this market's maximum quantity");
    terms->quantity_lots = (int64_t)lots;
    return true;
}

static bool terms_quantities(
    const struct order_request *request, const struct market *market, struct order_terms *terms, struct error *e)
{
    if (request->quote_amount[0])
        return terms_quote_amount(request, market, terms, e);
    if (!quantity_parse(request->quantity, market, &terms->quantity_lots, e))
        return false;
    if (!request->display_quantity[0])
        return true;
    if (!lots_parse(request->display_quantity, market, "display_quantity", &terms->display_lots, e))
        return false;
    return terms->display_lots <= terms->quantity_lots ||
           bad_quantity(e, "display_quantity", "must not be above quantity");
}

static bool terms_hold(const struct market *market, struct order_terms *terms, struct error *e)
{
    int64_t notional;
    terms->hold_asset = hold_asset(market, terms->side);
    terms->hold_minor = terms->quote_minor;
    if (terms->quote_minor > 0 && terms->side == SIDE_BUY)
        return true;
    /* A sell's notional must fit too: it is what its buyer pays. */
    if (!notional_minor(market, terms->price_ticks, terms->quantity_lots, &notional) ||
        !hold_minor(market, terms->side, terms->price_ticks, terms->quantity_lots, &terms->hold_minor))
        return too_large(e);
    bool has_limit = terms->type == ORDER_LIMIT || terms->type == ORDER_STOP_LIMIT;
    return !has_limit || check_notional(market, notional, e);
}

bool order_terms(const struct order_request *request, const struct order_context *context,
    struct order_terms *ret_terms, struct error *e)
{
    struct order_terms terms = {
        .side = (enum side)request->side,
        .type = (enum order_type)request->type,
        .time_in_force = effective_tif(request),
        .post_only = request->post_only,
        .post_only_mode = (enum post_only_mode)request->post_only_mode,
        .self_trade_prevention = (enum self_trade_prevention)request->self_trade_prevention,
        .expires_at_us = request->expires_at_us,
    };
    if (!market_takes(context->market, &terms, e))
        return false;
    if (terms.time_in_force == TIF_GTD && (terms.expires_at_us <= context->now_us || terms.expires_at_us > time_max_us))
        return error_field(e, ERROR_REFUSED, "invalid-expiry", "expires_at", "expires_at must be in the future");
    /* Quantity first: whoever leaves both empty hears of the quantity. By quote amount it follows from the price. */
    if (!(request->quote_amount[0]
                ? terms_prices(request, context, &terms, e) && terms_quantities(request, context->market, &terms, e)
                : terms_quantities(request, context->market, &terms, e) && terms_prices(request, context, &terms, e)) ||
        !terms_hold(context->market, &terms, e))
        return false;
    *ret_terms = terms;
    return true;
}

/* The engine may fill f more lots, 0 ≤ f ≤ what is left, at the old limit before it applies the amendment; it then
 * needs new price × (new quantity - filled - f) and has what is held less old price × f. The difference is linear in f:
 * the worst is at one of the ends. */
static bool extra_hold(const struct market *market, const struct order *order, struct amend_terms *terms)
{
    __int128 left = order->quantity_lots - order->filled_lots, more = terms->quantity_lots - order->quantity_lots;
    __int128 new_price =
        order->side == SIDE_BUY ? (__int128)terms->price_ticks * market->notional_unit_minor : market->lot_minor;
    if (left + more > INT64_MAX || new_price > INT64_MAX)
        return false;
    __int128 at_once = new_price * (left + more) - order->held_minor, at_last = new_price * more;
    __int128 extra = at_once > at_last ? at_once : at_last;
    if (extra > INT64_MAX)
        return false;
    terms->extra_hold_minor = extra > 0 ? (int64_t)extra : 0;
    return true;
}

bool amend_terms(const struct amend_request *request, const struct order_context *context, const struct order *order,
    struct amend_terms *ret_terms, struct error *e)
{
    const struct market *market = context->market;
    struct amend_terms terms = { .price_ticks = order->price_ticks, .quantity_lots = order->quantity_lots };
    int64_t notional;
    if (order->amend.status == AMEND_REQUESTED)
        return error_field(e, ERROR_CONFLICT, "amend-in-flight", "order_id", "an amendment of this order is under way");
    if (order->quote_minor > 0 || order->type == ORDER_MARKET)
        return unsupported(e, "order_id", "a market order cannot be amended");
    if (request->price[0] && order->type == ORDER_STOP)
        return unsupported(e, "price", "a stop order has no price of its own");
    if (request->price[0] && (!price_parse(request->price, market, "price", &terms.price_ticks, e) ||
                                 !price_in_band(context, terms.price_ticks, "price", e)))
        return false;
    if (request->quantity[0] && !quantity_parse(request->quantity, market, &terms.quantity_lots, e))
        return false;
    if (terms.quantity_lots <= order->filled_lots)
        return error_field(
            e, ERROR_CONFLICT, "quantity-already-filled", "quantity", "as much as that has been executed already");
    if (terms.price_ticks == order->price_ticks && terms.quantity_lots == order->quantity_lots)
        return error_field(e, ERROR_REFUSED, "nothing-to-change", request->price[0] ? "price" : "quantity",
            "the order has this price and quantity already");
    if (!notional_minor(market, terms.price_ticks, terms.quantity_lots, &notional) ||
        !extra_hold(market, order, &terms))
        return too_large(e);
    if (order->type != ORDER_STOP && !check_notional(market, notional, e))
        return false;
    *ret_terms = terms;
    return true;
}
