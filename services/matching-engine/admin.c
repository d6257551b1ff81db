#include "admin.h"

#include "service.h"

#include <inttypes.h>
#include <stdio.h>

static json_t *number_text(int64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, value);
    return json_string(text);
}

static json_t *market_head(const struct engine *engine, uint16_t number)
{
    const struct engine_market *market = engine_market_get(engine, number);
    json_t *head = json_object();

    json_object_set_new(head, "symbol", json_string(market->config.symbol));
    json_object_set_new(head, "seq", number_text((int64_t)market->seq));
    json_object_set_new(head, "trade_id", number_text((int64_t)market->trade_id));
    json_object_set_new(head, "posting_seq", number_text((int64_t)market->posting_seq));
    json_object_set_new(head, "book_seq", number_text((int64_t)market->book_seq));
    json_object_set_new(head, "at_us", number_text(market->at_us));
    json_object_set_new(head, "last_price_ticks", number_text(market->last_price_ticks));
    return head;
}

static bool add_level(void *context, const struct engine_level_change *level)
{
    json_t *entry = json_object();

    json_object_set_new(entry, "price_ticks", number_text(level->price_ticks));
    json_object_set_new(entry, "quantity_lots", number_text(level->total_lots));
    json_object_set_new(entry, "orders", json_integer(level->orders));
    json_array_append_new(context, entry);
    return true;
}

static bool describe_book(const struct engine *engine, uint16_t market, void *context, struct error *e)
{
    json_t **ret_json = context;
    json_t *bids = json_array(), *asks = json_array();

    (void)e;
    engine_each_level(engine, market, ENGINE_BUY, add_level, bids);
    engine_each_level(engine, market, ENGINE_SELL, add_level, asks);
    *ret_json = market_head(engine, market);
    json_object_set_new(*ret_json, "bids", bids);
    json_object_set_new(*ret_json, "asks", asks);
    return true;
}

static bool add_order(void *context, const struct engine_resting *order)
{
    json_t *entry = json_object();

    json_object_set_new(entry, "order_id", number_text((int64_t)order->order_id));
    json_object_set_new(entry, "user_id", number_text((int64_t)order->user_id));
    json_object_set_new(entry, "side", json_string(order->side == ENGINE_BUY ? "buy" : "sell"));
    json_object_set_new(entry, "price_ticks", number_text(order->price_ticks));
    json_object_set_new(entry, "filled_lots", number_text(order->filled_lots));
    json_object_set_new(entry, "remaining_lots", number_text(order->remaining_lots));
    json_array_append_new(context, entry);
    return true;
}

static bool describe_orders(const struct engine *engine, uint16_t market, void *context, struct error *e)
{
    json_t **ret_json = context;
    json_t *orders = json_array();

    (void)e;
    engine_each_order(engine, market, ENGINE_BUY, add_order, orders);
    engine_each_order(engine, market, ENGINE_SELL, add_order, orders);
    *ret_json = market_head(engine, market);
    json_object_set_new(*ret_json, "orders", orders);
    return true;
}

static bool get_book(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    struct admin_state *state = service_state();

    (void)pg;
    (void)outbox;
    return group_ask_market(state->group, request->params[0], describe_book, &reply->json, e);
}

static bool get_orders(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    struct admin_state *state = service_state();

    (void)pg;
    (void)outbox;
    return group_ask_market(state->group, request->params[0], describe_orders, &reply->json, e);
}

const struct http_route admin_routes[] = {
    { "GET", "/internal/markets/:symbol/book", get_book, .no_tx = true },
    { "GET", "/internal/markets/:symbol/orders", get_orders, .no_tx = true },
    { 0 },
};
