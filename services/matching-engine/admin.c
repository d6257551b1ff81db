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

static const char *status_name(uint8_t status)
{
    static const char *const names[] = { "", "open", "halted", "cancel_only", "auction" };

    return status < ARRAY_LEN(names) ? names[status] : "";
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
    json_object_set_new(head, "orders_seq", number_text((int64_t)market->orders_seq));
    json_object_set_new(head, "last_price_ticks", number_text(market->last_price_ticks));
    json_object_set_new(head, "reference_price_ticks", number_text(market->reference_price_ticks));
    json_object_set_new(head, "status", json_string(status_name(market->config.status)));
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
    json_object_set_new(*ret_json, "checksum", json_integer(engine_book_checksum(engine, market)));
    json_object_set_new(*ret_json, "bids", bids);
    json_object_set_new(*ret_json, "asks", asks);
    return true;
}

static const char *type_name(uint8_t type)
{
    static const char *const names[] = { "", "limit", "market", "stop", "stop_limit" };

    return type < ARRAY_LEN(names) ? names[type] : "";
}

/* What few orders have is there when they have it. */
static void add_more(json_t *entry, const struct engine_resting *order)
{
    const struct {
        const char *name;
        int64_t value;
    } more[] = {
        { "stop_price_ticks", order->more.stop_price_ticks },
        { "quote_minor", order->more.quote_minor },
        { "display_lots", order->more.display_lots },
        { "expires_at_us", order->more.expires_at_us },
        { "quote_set", order->quote_set },
    };

    for (size_t i = 0; i < ARRAY_LEN(more); i++)
        if (more[i].value != 0)
            json_object_set_new(entry, more[i].name, number_text(more[i].value));
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
    json_object_set_new(entry, "visible_lots", number_text(order->visible_lots));
    json_object_set_new(entry, "type", json_string(type_name(order->type)));
    json_object_set_new(entry, "waiting", json_boolean(order->waiting));
    add_more(entry, order);
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
    engine_each_waiting(engine, market, ENGINE_BUY, add_order, orders);
    engine_each_waiting(engine, market, ENGINE_SELL, add_order, orders);
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

static json_t *describe_partition(int32_t partition, const struct shard_status *status)
{
    static const char *const roles[] = { "preparing", "standby", "owner", "ended" };
    json_t *entry = json_object();
    int64_t lag = status->committed_offset - status->next_offset;

    json_object_set_new(entry, "partition", json_integer(partition));
    json_object_set_new(entry, "role", json_string(roles[status->role]));
    json_object_set_new(entry, "warm", json_boolean(status->warm));
    json_object_set_new(entry, "next_offset", number_text(status->next_offset));
    json_object_set_new(entry, "lag", number_text(lag > 0 ? lag : 0));
    json_object_set_new(entry, "orders", json_integer(status->orders));
    json_object_set_new(entry, "snapshot_offset", number_text(status->snapshot_offset));
    json_object_set_new(entry, "snapshot_age_s", json_real((double)status->snapshot_age_us / 1e6));
    json_object_set_new(entry, "snapshot_pause_us", json_integer(status->snapshot_pause_us));
    return entry;
}

static bool get_partitions(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    struct admin_state *state = service_state();
    struct shard_status status[GROUP_PARTITIONS_MAX];
    int32_t partitions[GROUP_PARTITIONS_MAX];
    size_t count = group_status(state->group, status, partitions, ARRAY_LEN(status));
    json_t *list = json_array();

    (void)pg;
    (void)outbox;
    (void)request;
    (void)e;
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, describe_partition(partitions[i], &status[i]));
    reply->json = json_pack("{s:o}", "partitions", list);
    return true;
}

const struct http_route admin_routes[] = {
    { "GET", "/internal/partitions", get_partitions, .no_tx = true },
    { "GET", "/internal/markets/:symbol/book", get_book, .no_tx = true },
    { "GET", "/internal/markets/:symbol/orders", get_orders, .no_tx = true },
    { 0 },
};
