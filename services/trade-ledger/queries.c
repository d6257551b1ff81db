/* HTTP in, reads only. */
#include "http.h"

#include "reading.h"
#include "sql.h"
#include "store.h"
#include "views.h"

#include <string.h>

static void set(json_t *object, const char *name, json_t *value)
{
    json_object_set_new(object, name, value);
}

bool get_order(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    uint64_t id;
    MARKETS_REF(markets);
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    CLEANUP(arena_free) struct arena *arena = arena_new();
    if (!parse_id(request->params[0], "order_id", &id, e) || id > INT64_MAX)
        return error_field(e, ERROR_NOT_FOUND, "order-not-found", "order_id", "there is no such order");
    pg_arg_int64(pg, (int64_t)id);
    pg_arg_int64(pg, (int64_t)request->claims.user_id);
    if (!pg_query(pg, &sql_order_get, &rows, e))
        return false;
    if (pg_rows(rows) == 0)
        return error_field(e, ERROR_NOT_FOUND, "order-not-found", "order_id", "there is no such order");
    struct order order;
    store_order_from_row(rows, 0, arena, &order);
    reply->json = view_order(&order, market_by_id(markets.set, order.market_id));
    return true;
}

/* "open" stands for both open states; without `status` all are meant. */
static bool statuses_from_query(
    const struct http_request *request, int32_t ret_statuses[ORDER_EXPIRED], size_t *ret_count, struct error *e)
{
    char name[32];
    size_t count = 0;
    int status = 0;
    if (!query_has(request->query, "status")) {
        for (int i = ORDER_ACCEPTED; i <= ORDER_EXPIRED; i++)
            ret_statuses[count++] = i;
    } else if (!query_get(request->query, "status", name, sizeof name)) {
        return error_field(e, ERROR_INVALID, "unknown-value", "status", "there is no such status");
    } else if (strcmp(name, "open") == 0) {
        ret_statuses[count++] = ORDER_ACCEPTED;
        ret_statuses[count++] = ORDER_PARTIALLY_FILLED;
    } else if (order_status_parse(name, &status)) {
        ret_statuses[count++] = status;
    } else {
        return error_field(e, ERROR_INVALID, "unknown-value", "status", "there is no such status");
    }
    *ret_count = count;
    return true;
}

bool get_orders(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    struct page page;
    int32_t market_id, statuses[ORDER_EXPIRED];
    size_t status_count;
    int64_t from_us, to_us;
    MARKETS_REF(markets);
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    CLEANUP(arena_free) struct arena *arena = arena_new();
    if (!page_from_query(request, "orders", &page, e) || !market_from_query(request, markets.set, &market_id, e) ||
        !statuses_from_query(request, statuses, &status_count, e) ||
        !time_from_query(request, "from", 0, &from_us, e) || !time_from_query(request, "to", time_max_us, &to_us, e))
        return false;
    pg_arg_int64(pg, (int64_t)request->claims.user_id);
    pg_arg_int64(pg, page.before);
    pg_arg_int32s(pg, statuses, status_count);
    pg_arg_int32(pg, market_id);
    pg_arg_int64(pg, page.limit);
    pg_arg_int64(pg, from_us);
    pg_arg_int64(pg, to_us);
    if (!pg_query(pg, &sql_orders_list, &rows, e))
        return false;
    json_t *list = json_array();
    struct order order = { 0 };
    for (size_t i = 0; i < pg_rows(rows); i++) {
        store_order_from_row(rows, i, arena, &order);
        json_array_append_new(list, view_order(&order, market_by_id(markets.set, order.market_id)));
    }
    reply_page(reply, "orders", list, &page, order.id);
    return true;
}

static json_t *trade_from_row(const struct pg_result *rows, size_t row, const struct market *market)
{
    enum side taker_side = (enum side)pg_get_int64(rows, row, 5);
    bool is_maker = pg_get_bool(rows, row, 7);
    enum side side = is_maker ? (taker_side == SIDE_BUY ? SIDE_SELL : SIDE_BUY) : taker_side;
    const struct asset *received = side == SIDE_BUY ? market->base : market->quote;
    json_t *json = json_object();
    set(json, "id", view_id((uint64_t)pg_get_int64(rows, row, 0)));
    set(json, "trade_id", view_id((uint64_t)pg_get_int64(rows, row, 2)));
    set(json, "symbol", json_string(market->symbol));
    set(json, "order_id", view_id((uint64_t)pg_get_int64(rows, row, 6)));
    set(json, "side", json_string(side_name(side)));
    set(json, "liquidity", json_string(is_maker ? "maker" : "taker"));
    set(json, "price", view_price(market, pg_get_int64(rows, row, 3)));
    set(json, "quantity", view_quantity(market, pg_get_int64(rows, row, 4)));
    set(json, "fee", view_amount(received, pg_get_int64(rows, row, 8)));
    set(json, "fee_asset", json_string(received->code));
    set(json, "executed_at", view_time(pg_get_int64(rows, row, 9)));
    return json;
}

static void reply_trades(
    const struct pg_result *rows, const struct markets *markets, const struct page *page, struct http_reply *reply)
{
    json_t *list = json_array();
    int64_t last_id = 0;
    for (size_t i = 0; i < pg_rows(rows); i++) {
        last_id = pg_get_int64(rows, i, 0);
        const struct market *market = market_by_id(markets, (int32_t)pg_get_int64(rows, i, 1));
        json_array_append_new(list, trade_from_row(rows, i, market));
    }
    reply_page(reply, "trades", list, page, last_id);
}

bool get_trades(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    struct page page;
    int32_t market_id;
    MARKETS_REF(markets);
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    if (!page_from_query(request, "trades", &page, e) || !market_from_query(request, markets.set, &market_id, e))
        return false;
    pg_arg_int64(pg, (int64_t)request->claims.user_id);
    pg_arg_int64(pg, page.before);
    pg_arg_int32(pg, market_id);
    pg_arg_int64(pg, page.limit);
    if (!pg_query(pg, &sql_trades_list, &rows, e))
        return false;
    reply_trades(rows, markets.set, &page, reply);
    return true;
}

bool get_order_fills(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    struct page page;
    uint64_t id;
    MARKETS_REF(markets);
    CLEANUP(pg_result_free) struct pg_result *order = NULL;
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    if (!parse_id(request->params[0], "order_id", &id, e) || id > INT64_MAX)
        return error_field(e, ERROR_NOT_FOUND, "order-not-found", "order_id", "there is no such order");
    if (!page_from_query(request, "fills", &page, e))
        return false;
    pg_arg_int64(pg, (int64_t)id);
    pg_arg_int64(pg, (int64_t)request->claims.user_id);
    if (!pg_query(pg, &sql_order_get, &order, e))
        return false;
    if (pg_rows(order) == 0)
        return error_field(e, ERROR_NOT_FOUND, "order-not-found", "order_id", "there is no such order");
    pg_arg_int64(pg, (int64_t)request->claims.user_id);
    pg_arg_int64(pg, page.before);
    pg_arg_int64(pg, (int64_t)id);
    pg_arg_int64(pg, page.limit);
    if (!pg_query(pg, &sql_order_fills, &rows, e))
        return false;
    reply_trades(rows, markets.set, &page, reply);
    return true;
}

bool get_markets(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    (void)request;
    MARKETS_REF(markets);
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    CLEANUP(arena_free) struct arena *arena = arena_new();
    int32_t *ids = arena_alloc(arena, (markets.set->market_count + 1) * sizeof *ids);
    for (size_t i = 0; i < markets.set->market_count; i++)
        ids[i] = markets.set->markets[i].id;
    pg_arg_int32s(pg, ids, markets.set->market_count);
    if (!pg_query(pg, &sql_market_states, &rows, e))
        return false;
    json_t *list = json_array();
    for (size_t i = 0; i < pg_rows(rows); i++) {
        const struct market *market = market_by_id(markets.set, (int32_t)pg_get_int64(rows, i, 0));
        json_array_append_new(list, view_market(market, pg_get_int64(rows, i, 2)));
    }
    reply->json = json_object();
    set(reply->json, "markets", list);
    return true;
}
