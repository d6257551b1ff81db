/* upstream.h -- forwards a call to another service over HTTP/1.1 keep-alive connections, on the gateway's own loop
 * (libcurl's multi interface driven by libuv). Loop thread only.
 *
 * At most UPSTREAM_IN_FLIGHT_MAX calls are under way; one more is refused at once (503), as is everything that cannot
 * connect. Of one service behind, UPSTREAM_CONNECTIONS_MAX are sent at a time and the others wait in order, within
 * their time limit. A request that could not be sent is tried once more when repeating it is harmless: it is a GET, or
 * it carries an Idempotency-Key. */
#pragma once

#include "../chassis/service.h"

enum {
    UPSTREAM_IN_FLIGHT_MAX = 4096,
    UPSTREAM_CONNECTIONS_MAX = 128, /* per target */
    UPSTREAM_CONNECT_TIMEOUT_MS = 1000,
    UPSTREAM_REPLY_MAX = 8 * 1024 * 1024, /* bytes; more is a broken upstream: 502 */
};

struct upstreams;

/* timeout_ms: of one exchange, with its waiting. *ret is the caller's (upstreams_close). */
MUST_CHECK bool upstreams_open(
    struct service_runtime *runtime, uv_loop_t *loop, uint32_t timeout_ms, struct upstreams **ret, struct error *e);
/* Answers what is under way with 503; frees itself once its handles have closed. NULL is fine. */
void upstreams_close(struct upstreams *upstreams);

/* Takes the call and answers it by service_reply(), now or later. base_url without a trailing slash; path begins with
 * '/'. base_url is the caller's for as long as the upstreams live, one of a few. */
void upstream_forward(struct upstreams *upstreams, struct http_call *call, const char *base_url, const char *path);
