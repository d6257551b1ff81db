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
_Static_assert(
    (int)ENGINE_CANCEL_ONLY == PENSTOCK__MARKETS__V1__MARKET_STATUS__MARKET_STATUS_CANCEL_ONLY, "market status");

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

static bool apply_order(
    struct engine *engine, const struct event *event, const ProtobufCMessage *message, struct error *e)
{
    const Penstock__Orders__V1__OrderAccepted *order = (const void *)message;
    uint16_t market;

    if (!market_of(engine, event, order->symbol, &market, e))
        return false;

    struct engine_command command = {
        .order_id = order->order_id,
        .user_id = order->user_id,
        .price_ticks = order->price_ticks,
        .quantity_lots = order->quantity_lots,
        .hold_minor = order->hold_minor,
        .at_us = order->accepted_at_us,
        .side = engine_code(order->side),
        .type = engine_code(order->type),
        .time_in_force = engine_code(order->time_in_force),
        .post_only = order->post_only ? ENGINE_POST_OR_REJECT : ENGINE_MAY_TAKE,
        .kind = ENGINE_PLACE,
        .market = market,
    };

    return judged(engine_apply(engine, &command), e);
}

static bool apply_cancel(
    struct engine *engine, const struct event *event, const ProtobufCMessage *message, struct error *e)
{
    const Penstock__Orders__V1__CancelAccepted *cancel = (const void *)message;
    uint16_t market;

    if (!market_of(engine, event, cancel->symbol, &market, e))
        return false;

    struct engine_command command = {
        .kind = ENGINE_CANCEL,
        .market = market,
        .order_id = cancel->order_id,
        .user_id = cancel->user_id,
        .at_us = cancel->accepted_at_us,
    };

    return judged(engine_apply(engine, &command), e);
}

static bool apply_tick(
    struct engine *engine, const struct event *event, const ProtobufCMessage *message, struct error *e)
{
    const Penstock__Orders__V1__TimeTicked *tick = (const void *)message;
    uint16_t market;

    if (!market_of(engine, event, tick->symbol, &market, e))
        return false;

    struct engine_command command = { .kind = ENGINE_TICK, .market = market, .at_us = tick->now_us };

    return judged(engine_apply(engine, &command), e);
}

static bool apply_market(
    struct engine *engine, const struct event *event, const ProtobufCMessage *message, struct error *e)
{
    const Penstock__Markets__V1__MarketConfigured *configured = (const void *)message;
    uint16_t market;

    if (strlen(configured->symbol) >= ENGINE_SYMBOL_MAX)
        return error_field(e, ERROR_REFUSED, "", "symbol", "the symbol is longer than %d bytes", ENGINE_SYMBOL_MAX - 1);
    if ((uint32_t)configured->status > ENGINE_CANCEL_ONLY)
        return error_field(e, ERROR_REFUSED, "", "status", "unknown market status");
    if (!key_is_symbol(event, configured->symbol, e))
        return false;

    struct engine_market_config config = {
        .market_id = configured->market_id,
        .base_asset_id = configured->base_asset_id,
        .quote_asset_id = configured->quote_asset_id,
        .lot_minor = configured->lot_minor,
        .notional_unit_minor = configured->notional_unit_minor,
        .maker_fee_ppm = configured->maker_fee_ppm,
        .taker_fee_ppm = configured->taker_fee_ppm,
        .status = (uint8_t)configured->status,
    };

    strcpy(config.symbol, configured->symbol);
    return judged(engine_configure(engine, &config, &market), e);
}

bool commands_apply(struct engine *engine, const struct event *event, struct error *e)
{
    static const struct {
        const ProtobufCMessageDescriptor *descriptor;
        bool (*apply)(struct engine *, const struct event *, const ProtobufCMessage *, struct error *);
    } commands[] = {
        { &penstock__orders__v1__order_accepted__descriptor, apply_order },
        { &penstock__orders__v1__cancel_accepted__descriptor, apply_cancel },
        { &penstock__orders__v1__time_ticked__descriptor, apply_tick },
        { &penstock__markets__v1__market_configured__descriptor, apply_market },
    };

    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        ProtobufCMessage *message;

        if (strcmp(event->type, commands[i].descriptor->name) != 0)
            continue;
        if (!event_decode(event, commands[i].descriptor, &message, e))
            return false;

        bool applied = commands[i].apply(engine, event, message, e);

        protobuf_c_message_free_unpacked(message, NULL);
        return applied;
    }
    return error_field(e, ERROR_INVALID, "", "ce_type", "%.64s is no command of the engine", event->type);
}
