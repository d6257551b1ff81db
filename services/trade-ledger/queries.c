/* HTTP in, reads only. */
#include "http.h"

#include "../chassis/service.h"
#include "sql.h"
#include "store.h"
#include "views.h"

#include <event_bus/event.h>

#include <string.h>

enum { LIST_DEFAULT = 100, LIST_MAX = 500 };

static struct trade_ledger *ledger_service(void)
{
    return service_state();
}

/* The set of markets for one read; gives it back at the end of the scope. */
struct markets_ref {
    const struct markets *set;
};

static void markets_ref_release(struct markets_ref *ref)
{
    if (ref->set)
        markets_put(ledger_service()->markets, ref->set);
}

#define MARKETS_REF(name)                                                                                              \
    __attribute__((cleanup(markets_ref_release))) struct markets_ref name = { markets_get(ledger_service()->markets) }

struct page {
    int64_t limit, before;
};

static bool page_from_query(const struct http_request *request, struct page *ret, struct error *e)
{
    return query_int(request->query, "limit", LIST_DEFAULT, 1, LIST_MAX, &ret->limit, e) &&
           query_int(request->query, "before", INT64_MAX, 1, INT64_MAX, &ret->before, e);
}

static bool market_from_query(
    const struct http_request *request, const struct markets *markets, int32_t *ret_market_id, struct error *e)
{
    char symbol[SYMBOL_MAX];
    *ret_market_id = 0;
    if (!strstr(request->query, "symbol="))
        return true;
    const struct market *market =
        query_get(request->query, "symbol", symbol, sizeof symbol) ? market_by_symbol(markets, symbol) : NULL;
    if (!market)
        return error_field(e, ERROR_REFUSED, "unknown-symbol", "symbol", "there is no such market");
    *ret_market_id = market->id;
    return true;
}

static void set(json_t *object, const char *name, json_t *value)
{
    json_object_set_new(object, name, value);
}

/* {"<name>": [...], "next_before": "17" | null}: another page exists when this one is full. */
static void reply_list(
    struct http_reply *reply, const char *name, json_t *list, const struct page *page, int64_t last_id)
{
    json_t *json = json_object();
    bool full = json_array_size(list) >= (size_t)page->limit;
    set(json, name, list);
    set(json, "next_before", full ? view_id((uint64_t)last_id) : json_null());
    reply->json = json;
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
    if (!strstr(request->query, "status=")) {
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

static bool time_from_query(
    const struct http_request *request, const char *name, int64_t fallback_us, int64_t *ret_us, struct error *e)
{
    char text[EVENT_TIME_MAX + 8];
    const char *found = strstr(request->query, name);
    *ret_us = fallback_us;
    if (!found || found[strlen(name)] != '=')
        return true;
    return (query_get(request->query, name, text, sizeof text) && event_time_parse(text, ret_us)) ||
           error_field(e, ERROR_INVALID, "invalid-time", name, "%s must be a time as in RFC 3339", name);
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
    if (!page_from_query(request, &page, e) || !market_from_query(request, markets.set, &market_id, e) ||
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
    reply_list(reply, "orders", list, &page, order.id);
    return true;
}

static bool reply_portfolio(struct pg *pg, uint64_t user_id, struct http_reply *reply, struct error *e)
{
    MARKETS_REF(markets);
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    pg_arg_int64(pg, (int64_t)user_id);
    if (!pg_query(pg, &sql_portfolio, &rows, e))
        return false;
    json_t *balances = json_array();
    for (size_t i = 0; i < pg_rows(rows); i++) {
        const struct asset *asset = asset_by_id(markets.set, (int32_t)pg_get_int64(rows, i, 0));
        if (asset)
            json_array_append_new(balances, view_balance(asset, pg_get_int64(rows, i, 1), pg_get_int64(rows, i, 2)));
    }
    reply->json = json_object();
    set(reply->json, "user_id", view_id(user_id));
    set(reply->json, "balances", balances);
    set(reply->json, "as_of", view_time(now_us()));
    return true;
}

bool get_portfolio(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    return reply_portfolio(pg, request->claims.user_id, reply, e);
}

/* A service may ask for anyone's, a user for his own. */
bool get_portfolio_of(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    uint64_t user_id;
    bool is_service = request->claims.user_id == 0;
    if (!parse_id(request->params[0], "user_id", &user_id, e))
        return false;
    if (user_id > INT64_MAX || (!is_service && user_id != request->claims.user_id))
        return error_field(e, ERROR_NOT_FOUND, "not-found", "user_id", "there is no such portfolio");
    return reply_portfolio(pg, user_id, reply, e);
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
    reply_list(reply, "trades", list, page, last_id);
}

bool get_trades(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    struct page page;
    int32_t market_id;
    MARKETS_REF(markets);
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    if (!page_from_query(request, &page, e) || !market_from_query(request, markets.set, &market_id, e))
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
    if (!page_from_query(request, &page, e))
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

static json_t *entry_from_row(const struct pg_result *rows, size_t row, const struct asset *asset)
{
    json_t *json = json_object();
    set(json, "entry_id", view_id((uint64_t)pg_get_int64(rows, row, 0)));
    set(json, "journal_id", view_id((uint64_t)pg_get_int64(rows, row, 1)));
    set(json, "account_id", view_id((uint64_t)pg_get_int64(rows, row, 2)));
    set(json, "asset", json_string(asset->code));
    set(json, "kind", json_string(journal_kind_name((int)pg_get_int64(rows, row, 8))));
    set(json, "reference", json_string(pg_get_text(rows, row, 9)));
    set(json, "available_delta", view_amount(asset, pg_get_int64(rows, row, 4)));
    set(json, "held_delta", view_amount(asset, pg_get_int64(rows, row, 5)));
    set(json, "available", view_amount(asset, pg_get_int64(rows, row, 6)));
    set(json, "held", view_amount(asset, pg_get_int64(rows, row, 7)));
    set(json, "posted_at", view_time(pg_get_int64(rows, row, 10)));
    return json;
}

static bool asset_from_query(
    const struct http_request *request, const struct markets *markets, int32_t *ret_asset_id, struct error *e)
{
    char code[ASSET_CODE_MAX];
    *ret_asset_id = 0;
    if (!strstr(request->query, "asset="))
        return true;
    const struct asset *asset =
        query_get(request->query, "asset", code, sizeof code) ? asset_by_code(markets, code) : NULL;
    if (!asset)
        return error_field(e, ERROR_REFUSED, "unknown-currency", "asset", "there is no such asset");
    *ret_asset_id = asset->id;
    return true;
}

bool get_entries(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    struct page page;
    int32_t asset_id;
    MARKETS_REF(markets);
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    if (!page_from_query(request, &page, e) || !asset_from_query(request, markets.set, &asset_id, e))
        return false;
    pg_arg_int64(pg, (int64_t)request->claims.user_id);
    pg_arg_int64(pg, page.before);
    pg_arg_int32(pg, asset_id);
    pg_arg_int64(pg, page.limit);
    if (!pg_query(pg, &sql_entries_list, &rows, e))
        return false;
    json_t *list = json_array();
    int64_t last_id = 0;
    for (size_t i = 0; i < pg_rows(rows); i++) {
        last_id = pg_get_int64(rows, i, 0);
        const struct asset *asset = asset_by_id(markets.set, (int32_t)pg_get_int64(rows, i, 3));
        json_array_append_new(list, entry_from_row(rows, i, asset));
    }
    reply_list(reply, "entries", list, &page, last_id);
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
