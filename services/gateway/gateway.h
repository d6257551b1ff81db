/* gateway.h -- the rooms of the gateway: settings, the state handed to handlers, and what main.c ties together. */
#pragma once

#include "../chassis/service.h"
#include "market_view.h"
#include "rate_limit.h"
#include "upstream.h"

struct settings {
    char *identity_url, *trade_ledger_url, *matching_engine_url;
    int64_t upstream_timeout_ms;
    int64_t rate_per_second, rate_burst;
};
extern const struct config_item settings_items[];

struct gateway {
    const struct settings *settings;
    struct service_runtime *runtime;
    struct market_view *view;
    struct rate_limit *limit;    /* loop thread only */
    struct upstreams *upstreams; /* loop thread only */
    pthread_mutex_t fetch_lock;  /* one fetch of a book at a time */
};

extern const struct http_route routes[];

/* proxy.c: the loop thread's side. */
bool gateway_proxy(struct service_runtime *runtime, struct http_call *call);

/* fetch.c: blocking GET of a JSON object, for worker threads. The caller's reference. Errors: TRANSIENT. */
json_t *fetch_json(const char *url, uint32_t timeout_ms, int *ret_status, struct error *e);
