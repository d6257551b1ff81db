/* main.c -- the gateway: single entry for clients. Passes requests on, and answers market data from its own read model.
 */
#include "gateway.h"

#include "../chassis/log.h"

#include <curl/curl.h>

static bool on_markets(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    (void)pg, (void)outbox, (void)e;
    struct gateway *gateway = context;
    for (size_t i = 0; i < count; i++)
        if (!market_view_apply(gateway->view, &deliveries[i].event, &deliveries[i].verdict))
            log_error("market data", &deliveries[i].verdict);
    return true;
}

static const struct subscription subscriptions[] = {
    { "gateway-markets", (const char *const[]){ "markets.v1", NULL }, on_markets, .plain = true },
    { "gateway-trades", (const char *const[]){ "trades.v1", NULL }, on_markets, .plain = true,
        .tail = MARKET_VIEW_TRADES_MAX },
    { "gateway-books", (const char *const[]){ "market.book.v1", NULL }, on_markets, .plain = true, .from_end = true },
    { 0 },
};

static bool start(struct service_runtime *runtime, const void *settings, void **ret_state, struct error *e)
{
    (void)e;
    struct gateway *gateway = xcalloc(1, sizeof *gateway);
    gateway->settings = settings;
    gateway->runtime = runtime;
    gateway->view = market_view_new();
    gateway->limit =
        rate_limit_new((uint32_t)gateway->settings->rate_per_second, (uint32_t)gateway->settings->rate_burst);
    pthread_mutex_init(&gateway->fetch_lock, NULL);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    *ret_state = gateway;
    return true;
}

static void stop(void *state)
{
    struct gateway *gateway = state;
    market_view_free(gateway->view);
    rate_limit_free(gateway->limit);
    pthread_mutex_destroy(&gateway->fetch_lock);
    xfree(gateway);
}

static bool loop_start(struct service_runtime *runtime, uv_loop_t *loop, struct error *e)
{
    struct gateway *gateway = service_state();
    return upstreams_open(runtime, loop, (uint32_t)gateway->settings->upstream_timeout_ms, &gateway->upstreams, e);
}

static void loop_stop(struct service_runtime *runtime)
{
    (void)runtime;
    struct gateway *gateway = service_state();
    upstreams_close(TAKE(gateway->upstreams));
}

int main(int argc, char **argv)
{
    static const struct service service = {
        .name = "gateway",
        .port = 8080,
        .settings = settings_items,
        .settings_size = sizeof(struct settings),
        .routes = routes,
        .subscriptions = subscriptions,
        .start = start,
        .stop = stop,
        .loop_start = loop_start,
        .loop_stop = loop_stop,
        .proxy = gateway_proxy,
    };
    return service_main(&service, argc, argv);
}
