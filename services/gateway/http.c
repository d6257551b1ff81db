/* http.c -- what the gateway answers itself: market data from its read model, the health of all services, the API's
 * description. */
#include "gateway.h"

#include <string.h>

enum { BOOK_DEPTH_MAX = 1000, FETCH_TIMEOUT_MS = 3000, HEALTH_TIMEOUT_MS = 2000, FILE_MAX = 4 * 1024 * 1024 };

/* Fetches the engine's snapshot of a book that is not current; whoever waited for the lock finds the work done. */
static bool refresh_book(struct gateway *gateway, const char *symbol, struct error *e)
{
    pthread_mutex_lock(&gateway->fetch_lock);
    struct error stale = { 0 };
    json_t *book = market_view_book(gateway->view, symbol, 0, &stale);
    bool ok = book != NULL;
    json_decref(book);
    if (!ok) {
        int status = 0;
        char *url = xasprintf("%s/internal/markets/%s/book", gateway->settings->matching_engine_url, symbol);
        json_t *snapshot = fetch_json(url, FETCH_TIMEOUT_MS, &status, e);
        if (snapshot && status != 200)
            error_field(
                e, ERROR_TRANSIENT, "book-not-current", "", "the engine has no book of this market yet (%d)", status);
        else if (snapshot)
            ok = market_view_load_book(gateway->view, symbol, snapshot, e);
        json_decref(snapshot);
        xfree(url);
    }
    pthread_mutex_unlock(&gateway->fetch_lock);
    return ok;
}

static bool get_book(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)pg, (void)outbox;
    struct gateway *gateway = service_state();
    const char *symbol = request->params[0];
    int64_t depth;
    if (!query_int(request->query, "depth", 50, 1, BOOK_DEPTH_MAX, &depth, e))
        return false;
    reply->json = market_view_book(gateway->view, symbol, (size_t)depth, e);
    if (!reply->json && e->kind == ERROR_TRANSIENT) {
        error_clear(e);
        if (refresh_book(gateway, symbol, e))
            reply->json = market_view_book(gateway->view, symbol, (size_t)depth, e);
    }
    return reply->json != NULL;
}

static bool get_trades(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)pg, (void)outbox;
    struct gateway *gateway = service_state();
    int64_t limit;
    if (!query_int(request->query, "limit", 100, 1, MARKET_VIEW_TRADES_MAX, &limit, e))
        return false;
    json_t *trades = market_view_trades(gateway->view, request->params[0], (size_t)limit, e);
    if (trades)
        reply->json = json_pack("{s:s, s:o}", "symbol", request->params[0], "trades", trades);
    return trades != NULL;
}

static bool get_markets(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)pg, (void)outbox, (void)request, (void)e;
    struct gateway *gateway = service_state();
    reply->json = json_pack("{s:o}", "markets", market_view_markets(gateway->view));
    return true;
}

static bool get_health_services(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)pg, (void)outbox, (void)request, (void)e;
    struct gateway *gateway = service_state();
    const struct {
        const char *name, *url;
    } services[] = {
        { "identity", gateway->settings->identity_url },
        { "trade-ledger", gateway->settings->trade_ledger_url },
        { "matching-engine", gateway->settings->matching_engine_url },
    };
    bool all = true;
    json_t *list = json_object();
    for (size_t i = 0; i < ARRAY_LEN(services); i++) {
        int status = 0;
        struct error cause = { 0 };
        char *url = xasprintf("%s/health", services[i].url);
        json_t *health = fetch_json(url, HEALTH_TIMEOUT_MS, &status, &cause);
        bool ok = health && status == 200;
        all = all && ok;
        json_object_set_new(list, services[i].name,
            json_pack("{s:s, s:o}", "status", ok ? "ok" : "unavailable", "detail",
                health ? health : json_string(cause.message)));
        xfree(url);
    }
    reply->status = all ? 200 : 503;
    reply->json = json_pack("{s:s, s:o}", "status", all ? "ok" : "degraded", "services", list);
    return true;
}

/* schemas/openapi.yaml, put into the program by openapi.S. */
extern const char openapi_yaml[], openapi_yaml_end[];

static bool get_openapi(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)pg, (void)outbox, (void)request, (void)e;
    reply->body_len = (size_t)(openapi_yaml_end - openapi_yaml);
    reply->body = xstrndup(openapi_yaml, reply->body_len);
    reply->content_type = "application/yaml";
    return true;
}

enum { LARGE_BODY_MAX = 1024 * 1024 }; /* of a thousand transfers */

const struct http_route routes[] = {
    { "POST", "/auth/signup", .proxied = true, .json = true },
    { "POST", "/auth/login", .proxied = true, .json = true },
    { "POST", "/auth/refresh", .proxied = true, .json = true },
    { "POST", "/auth/logout", .proxied = true, .json = true },
    { "GET", "/.well-known/jwks.json", .proxied = true },
    { "GET", "/api/auth/me", .proxied = true, .auth = HTTP_AUTH_USER },
    { "POST", "/api/fund/topup", .proxied = true, .auth = HTTP_AUTH_USER, .json = true, .idempotent = true },
    { "POST", "/api/orders", .proxied = true, .auth = HTTP_AUTH_USER, .json = true, .idempotent = true },
    { "POST", "/api/transfers", .proxied = true, .auth = HTTP_AUTH_USER, .json = true, .idempotent = true },
    { "POST", "/api/transfers/batch", .proxied = true, .auth = HTTP_AUTH_USER, .json = true, .idempotent = true,
        .body_max = LARGE_BODY_MAX },
    { "POST", "/api/transfers/:id/post", .proxied = true, .auth = HTTP_AUTH_USER, .json = true, .idempotent = true },
    { "POST", "/api/transfers/:id/void", .proxied = true, .auth = HTTP_AUTH_USER, .json = true, .idempotent = true },
    { "GET", "/api/transfers", .proxied = true, .auth = HTTP_AUTH_USER },
    { "GET", "/api/transfers/:id", .proxied = true, .auth = HTTP_AUTH_USER },
    { "POST", "/api/ledger/journals/:id/reverse", .proxied = true, .auth = HTTP_AUTH_USER, .json = true,
        .idempotent = true },
    { "POST", "/api/ledger/journals", .proxied = true, .auth = HTTP_AUTH_USER, .json = true, .idempotent = true },
    { "POST", "/api/ledger/journals/batch", .proxied = true, .auth = HTTP_AUTH_USER, .json = true, .idempotent = true,
        .body_max = LARGE_BODY_MAX },
    { "POST", "/api/ledger/adjustments", .proxied = true, .auth = HTTP_AUTH_USER, .json = true, .idempotent = true },
    { "POST", "/api/ledger/adjustments/:id/approve", .proxied = true, .auth = HTTP_AUTH_USER, .json = true,
        .idempotent = true },
    { "POST", "/api/ledger/adjustments/:id/reject", .proxied = true, .auth = HTTP_AUTH_USER, .json = true,
        .idempotent = true },
    { "GET", "/api/ledger/adjustments", .proxied = true, .auth = HTTP_AUTH_USER },
    { "GET", "/api/ledger/adjustments/:id", .proxied = true, .auth = HTTP_AUTH_USER },
    { "GET", "/api/accounts", .proxied = true, .auth = HTTP_AUTH_USER },
    { "GET", "/api/assets", .proxied = true },
    { "GET", "/api/admin/accounts", .proxied = true, .auth = HTTP_AUTH_USER },
    { "PATCH", "/api/admin/accounts/:id", .proxied = true, .auth = HTTP_AUTH_USER, .json = true },
    { "GET", "/api/orders", .proxied = true, .auth = HTTP_AUTH_USER },
    { "GET", "/api/orders/:id", .proxied = true, .auth = HTTP_AUTH_USER },
    { "POST", "/api/orders/batch", .proxied = true, .auth = HTTP_AUTH_USER, .json = true, .idempotent = true },
    { "POST", "/api/orders/cancel-all", .proxied = true, .auth = HTTP_AUTH_USER, .json = true },
    { "POST", "/api/orders/cancel-all-after", .proxied = true, .auth = HTTP_AUTH_USER, .json = true },
    { "POST", "/api/quotes/mass", .proxied = true, .auth = HTTP_AUTH_USER, .json = true, .idempotent = true },
    { "GET", "/api/orders/:id/fills", .proxied = true, .auth = HTTP_AUTH_USER },
    { "PATCH", "/api/orders/:id", .proxied = true, .auth = HTTP_AUTH_USER, .json = true },
    { "DELETE", "/api/orders/:id", .proxied = true, .auth = HTTP_AUTH_USER },
    { "GET", "/api/portfolio", .proxied = true, .auth = HTTP_AUTH_USER },
    { "GET", "/api/portfolio/positions", .proxied = true, .auth = HTTP_AUTH_USER },
    { "GET", "/api/trades", .proxied = true, .auth = HTTP_AUTH_USER },
    { "GET", "/api/ledger/entries", .proxied = true, .auth = HTTP_AUTH_USER },
    { "GET", "/api/accounts/:id/balance", .proxied = true, .auth = HTTP_AUTH_USER },
    { "GET", "/api/accounts/:id/statement", .proxied = true, .auth = HTTP_AUTH_USER },
    { "POST", "/api/accounts/:id/reconcile", .proxied = true, .auth = HTTP_AUTH_USER, .body_max = FILE_MAX },
    { "GET", "/api/interest", .proxied = true, .auth = HTTP_AUTH_USER },
    { "POST", "/api/schedules", .proxied = true, .auth = HTTP_AUTH_USER, .json = true, .idempotent = true },
    { "GET", "/api/schedules", .proxied = true, .auth = HTTP_AUTH_USER },
    { "GET", "/api/admin/schedules", .proxied = true, .auth = HTTP_AUTH_USER },
    { "GET", "/api/schedules/:id", .proxied = true, .auth = HTTP_AUTH_USER },
    { "POST", "/api/schedules/:id/pause", .proxied = true, .auth = HTTP_AUTH_USER },
    { "POST", "/api/schedules/:id/resume", .proxied = true, .auth = HTTP_AUTH_USER },
    { "DELETE", "/api/schedules/:id", .proxied = true, .auth = HTTP_AUTH_USER },
    { "GET", "/api/markets", get_markets, .no_tx = true },
    { "GET", "/api/markets/:symbol/book", get_book, .no_tx = true },
    { "GET", "/api/markets/:symbol/trades", get_trades, .no_tx = true },
    { "GET", "/health/services", get_health_services, .no_tx = true },
    { "GET", "/openapi.yaml", get_openapi, .no_tx = true },
    { 0 },
};
