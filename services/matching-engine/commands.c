#include "commands.h"

#include "markets_v1.pb-c.h"
#include "orders_v1.pb-c.h"

#include <stdio.h>
#include <string.h>

/* The core's numbers are the proto's. */
_Static_assert((int)ENGINE_BUY == PENSTOCK__ORDERS__V1__SIDE__SIDE_BUY, "side");
_Static_assert((int)ENGINE_SELL == PENSTOCK__ORDERS__V1__SIDE__SIDE_SELL, "side");
_Static_assert((int)ENGINE_LIMIT == PENSTOCK__ORDERS__V1__ORDER_TYPE__ORDER_TYPE_LIMIT, "type");
_Static_assert((int)ENGINE_STOP_LIMIT == PENSTOCK__ORDERS__V1__ORDER_TYPE__ORDER_TYPE_STOP_LIMIT, "type");
_Static_assert((int)ENGINE_GTC == PENSTOCK__ORDERS__V1__TIME_IN_FORCE__TIME_IN_FORCE_GTC, "time in force");
_Static_assert((int)ENGINE_GTD == PENSTOCK__ORDERS__V1__TIME_IN_FORCE__TIME_IN_FORCE_GTD, "time in force");
_Static_assert((int)ENGINE_OPEN == PENSTOCK__MARKETS__V1__MARKET_STATUS__MARKET_STATUS_OPEN, "market status");
_Static_assert((int)ENGINE_AUCTION == PENSTOCK__MARKETS__V1__MARKET_STATUS__MARKET_STATUS_AUCTION, "market status");
_Static_assert((int)ENGINE_DECREMENT == PENSTOCK__ORDERS__V1__SELF_TRADE_PREVENTION__SELF_TRADE_PREVENTION_DECREMENT,
    "self-trade prevention");
_Static_assert(
    (int)ENGINE_POST_OR_REJECT == PENSTOCK__ORDERS__V1__POST_ONLY_MODE__POST_ONLY_MODE_REJECT, "post-only mode");
_Static_assert(
    (int)ENGINE_POST_OR_SLIDE == PENSTOCK__ORDERS__V1__POST_ONLY_MODE__POST_ONLY_MODE_SLIDE, "post-only mode");

static bool judged(enum engine_verdict verdict, struct error *e)
{
    return verdict == ENGINE_OK ||
           error_field(e, ERROR_REFUSED, "", engine_verdict_field(verdict), "%s", engine_verdict_text(verdict));
}

/* The key chose the partition, and with it the shard that owns the symbol. */
static bool key_is_symbol(const struct event *event, const char *symbol, struct error *e)
{
    return (event->key.len == strlen(symbol) && memcmp(event->key.data, symbol, event->key.len) == 0) ||
           error_field(e, ERROR_REFUSED, "", "key", "the key is not the symbol");
}

static bool market_of(
    const struct engine *engine, const struct event *event, const char *symbol, uint16_t *ret_market, struct error *e)
{
    *ret_market = engine_market_find(engine, symbol);
    if (*ret_market == ENGINE_NO_MARKET)
        return judged(ENGINE_BAD_MARKET, e);
    return key_is_symbol(event, symbol, e);
}

/* Without post_only the mode means nothing, but it still has to be one. */
static uint8_t post_only_of(const Penstock__Orders__V1__OrderAccepted *order)
{
    uint8_t mode = engine_code(order->post_only_mode);

    if (mode > ENGINE_POST_OR_SLIDE)
        return UINT8_MAX;
    if (!order->post_only)
        return ENGINE_MAY_TAKE;
    return mode == ENGINE_MAY_TAKE ? (uint8_t)ENGINE_POST_OR_REJECT : mode;
}

static struct engine_command place_command(
    const Penstock__Orders__V1__OrderAccepted *order, uint16_t market, struct engine_order_more *more)
{
    *more = (struct engine_order_more){
        .stop_price_ticks = order->stop_price_ticks,
        .quote_minor = order->quote_minor,
        .display_lots = order->display_lots,
        .expires_at_us = order->expires_at_us,
        .has_fees = order->fees != NULL,
    };
    if (order->fees) {
        more->maker_fee_ppm = order->fees->maker_ppm;
        more->taker_fee_ppm = order->fees->taker_ppm;
    }

    bool plain = more->stop_price_ticks == 0 && more->quote_minor == 0 && more->display_lots == 0 &&
                 more->expires_at_us == 0 && !more->has_fees;

    return (struct engine_command){
        .kind = ENGINE_PLACE,
        .market = market,
        .order_id = order->order_id,
        .user_id = order->user_id,
        .price_ticks = order->price_ticks,
        .quantity_lots = order->quantity_lots,
        .hold_minor = order->hold_minor,
        .at_us = order->accepted_at_us,
        .side = engine_code(order->side),
        .type = engine_code(order->type),
        .time_in_force = engine_code(order->time_in_force),
        .post_only = post_only_of(order),
        .self_trade = engine_code(order->self_trade_prevention),
        .more = plain ? NULL : more,
    };
}

static bool apply_order(
    struct engine *engine, const struct event *event, const ProtobufCMessage *message, struct error *e)
{
    const Penstock__Orders__V1__OrderAccepted *order = (const void *)message;
    struct engine_order_more more;
    uint16_t market;

    if (!market_of(engine, event, order->symbol, &market, e))
        return false;

    struct engine_command command = place_command(order, market, &more);

    return judged(engine_apply(engine, &command), e);
}

static bool apply_mass_quote(
    struct engine *engine, const struct event *event, const ProtobufCMessage *message, struct error *e)
{
    const Penstock__Orders__V1__MassQuoteAccepted *quote = (const void *)message;
    struct engine_order_more more[ENGINE_QUOTES_MAX];
    struct engine_command orders[ENGINE_QUOTES_MAX];
    uint16_t market;

    if (!market_of(engine, event, quote->symbol, &market, e))
        return false;
    if (quote->quote_set == 0 || quote->quote_set > UINT16_MAX)
        return error_field(e, ERROR_REFUSED, "", "quote_set", "the quote set is not in 1 ... %d", UINT16_MAX);
    if (quote->n_orders > ENGINE_QUOTES_MAX)
        return error_field(e, ERROR_REFUSED, "", "orders", "more than %d quotes", ENGINE_QUOTES_MAX);
    for (size_t i = 0; i < quote->n_orders; i++) {
        if (strcmp(quote->orders[i]->symbol, quote->symbol) != 0)
            return error_field(e, ERROR_REFUSED, "", "orders", "quote %zu is of another market", i);
        orders[i] = place_command(quote->orders[i], market, &more[i]);
    }

    struct engine_quotes quotes = {
        .orders = orders,
        .count = (uint32_t)quote->n_orders,
        .quote_set = (uint16_t)quote->quote_set,
    };
    struct engine_command command = {
        .kind = ENGINE_MASS_QUOTE,
        .market = market,
        .user_id = quote->user_id,
        .at_us = quote->accepted_at_us,
        .quotes = &quotes,
    };

    return judged(engine_apply(engine, &command), e);
}

static bool apply_cancel(
    struct engine *engine, const struct event *event, const ProtobufCMessage *message, struct error *e)
{
    const Penstock__Orders__V1__CancelAccepted *cancel = (const void *)message;
    struct engine_command command = {
        .kind = ENGINE_CANCEL,
        .order_id = cancel->order_id,
        .user_id = cancel->user_id,
        .at_us = cancel->accepted_at_us,
    };

    return market_of(engine, event, cancel->symbol, &command.market, e) && judged(engine_apply(engine, &command), e);
}

static bool apply_amend(
    struct engine *engine, const struct event *event, const ProtobufCMessage *message, struct error *e)
{
    const Penstock__Orders__V1__AmendAccepted *amend = (const void *)message;
    struct engine_command command = {
        .kind = ENGINE_AMEND,
        .order_id = amend->order_id,
        .user_id = amend->user_id,
        .price_ticks = amend->price_ticks,
        .quantity_lots = amend->quantity_lots,
        .hold_minor = amend->extra_hold_minor,
        .at_us = amend->accepted_at_us,
        .side = engine_code(amend->side),
        .amend_id = amend->amend_id,
    };

    return market_of(engine, event, amend->symbol, &command.market, e) && judged(engine_apply(engine, &command), e);
}

static bool apply_cancel_all(
    struct engine *engine, const struct event *event, const ProtobufCMessage *message, struct error *e)
{
    const Penstock__Orders__V1__CancelAllAccepted *all = (const void *)message;
    struct engine_command command = {
        .kind = ENGINE_CANCEL_ALL, .user_id = all->user_id, .at_us = all->accepted_at_us
    };

    return market_of(engine, event, all->symbol, &command.market, e) && judged(engine_apply(engine, &command), e);
}

static bool apply_kill_switch(
    struct engine *engine, const struct event *event, const ProtobufCMessage *message, struct error *e)
{
    const Penstock__Orders__V1__KillSwitchSet *set = (const void *)message;
    struct engine_command command = {
        .kind = ENGINE_KILL_SWITCH,
        .user_id = set->user_id,
        .at_us = set->accepted_at_us,
        .engaged = set->engaged,
    };

    return market_of(engine, event, set->symbol, &command.market, e) && judged(engine_apply(engine, &command), e);
}

static bool apply_reference(
    struct engine *engine, const struct event *event, const ProtobufCMessage *message, struct error *e)
{
    const Penstock__Markets__V1__ReferencePriceSet *set = (const void *)message;
    struct engine_command command = { .kind = ENGINE_REFERENCE, .price_ticks = set->price_ticks, .at_us = set->at_us };

    return market_of(engine, event, set->symbol, &command.market, e) && judged(engine_apply(engine, &command), e);
}

static bool apply_tick(
    struct engine *engine, const struct event *event, const ProtobufCMessage *message, struct error *e)
{
    const Penstock__Orders__V1__TimeTicked *tick = (const void *)message;
    struct engine_command command = { .kind = ENGINE_TICK, .at_us = tick->now_us };

    return market_of(engine, event, tick->symbol, &command.market, e) && judged(engine_apply(engine, &command), e);
}

/* The symbol becomes part of ids and keys. */
static bool check_symbol(const char *symbol, struct error *e)
{
    size_t len = strlen(symbol);

    if (len == 0 || len >= ENGINE_SYMBOL_MAX)
        return error_field(e, ERROR_REFUSED, "", "symbol", "the symbol has not 1 ... %d bytes", ENGINE_SYMBOL_MAX - 1);
    for (size_t i = 0; i < len; i++)
        if (symbol[i] <= ' ' || symbol[i] > '~')
            return error_field(e, ERROR_REFUSED, "", "symbol", "the symbol is not printable ASCII");
    return true;
}

static bool apply_market(
    struct engine *engine, const struct event *event, const ProtobufCMessage *message, struct error *e)
{
    const Penstock__Markets__V1__MarketConfigured *configured = (const void *)message;
    uint16_t market;

    if (!check_symbol(configured->symbol, e) || !key_is_symbol(event, configured->symbol, e))
        return false;

    struct engine_market_config config = {
        .market_id = configured->market_id,
        .base_asset_id = configured->base_asset_id,
        .quote_asset_id = configured->quote_asset_id,
        .lot_minor = configured->lot_minor,
        .notional_unit_minor = configured->notional_unit_minor,
        .maker_fee_ppm = configured->maker_fee_ppm,
        .taker_fee_ppm = configured->taker_fee_ppm,
        .status = engine_code(configured->status),
        .price_band_ppm = configured->price_band_ppm,
        .min_price_ticks = configured->min_price_ticks,
        .max_price_ticks = configured->max_price_ticks,
        .price_step_ticks = configured->price_step_ticks,
        .min_quantity_lots = configured->min_quantity_lots,
        .max_quantity_lots = configured->max_quantity_lots,
        .quantity_step_lots = configured->quantity_step_lots,
        .min_notional_minor = configured->min_notional_minor,
        .max_notional_minor = configured->max_notional_minor,
    };

    strcpy(config.symbol, configured->symbol);
    return judged(engine_configure(engine, &config, &market), e);
}

/* The most frequent first. */
static const struct {
    const ProtobufCMessageDescriptor *descriptor;
    bool (*apply)(struct engine *, const struct event *, const ProtobufCMessage *, struct error *);
} commands[] = {
    { &penstock__orders__v1__order_accepted__descriptor, apply_order },
    { &penstock__orders__v1__cancel_accepted__descriptor, apply_cancel },
    { &penstock__orders__v1__amend_accepted__descriptor, apply_amend },
    { &penstock__orders__v1__mass_quote_accepted__descriptor, apply_mass_quote },
    { &penstock__orders__v1__cancel_all_accepted__descriptor, apply_cancel_all },
    { &penstock__orders__v1__time_ticked__descriptor, apply_tick },
    { &penstock__orders__v1__kill_switch_set__descriptor, apply_kill_switch },
    { &penstock__markets__v1__reference_price_set__descriptor, apply_reference },
    { &penstock__markets__v1__market_configured__descriptor, apply_market },
};

bool commands_decode(struct arena *arena, const struct event *event, struct command *ret_command, struct error *e)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcmp(event->type, commands[i].descriptor->name) != 0)
            continue;
        ret_command->event = event;
        ret_command->kind = i;
        return event_decode_in(arena, event, commands[i].descriptor, &ret_command->message, e);
    }
    return error_field(e, ERROR_INVALID, "", "ce_type", "%.64s is no command of the engine", event->type);
}

bool commands_do(struct engine *engine, const struct command *command, struct error *e)
{
    return commands[command->kind].apply(engine, command->event, command->message, e);
}

bool commands_apply(struct engine *engine, struct arena *scratch, const struct event *event, struct error *e)
{
    struct command command;
    bool applied = commands_decode(scratch, event, &command, e) && commands_do(engine, &command, e);

    arena_clear(scratch);
    return applied;
}
