/* proxy.c -- which service a path belongs to. Matching, limits and the token check were the chassis's; what is left is
 * the rate limit and the way. */
#include "gateway.h"

#include <stdio.h>
#include <string.h>

enum upstream_id { IDENTITY, TRADE_LEDGER };

/* First match counts. `strip` bytes of the path are cut before it is passed on. */
static const struct {
    const char *prefix;
    size_t strip;
    enum upstream_id upstream;
} ways[] = {
    { "/auth/", 0, IDENTITY },
    { "/.well-known/", 0, IDENTITY },
    { "/api/auth/", 4, IDENTITY },
    { "/api/", 4, TRADE_LEDGER },
};

static const char *base_url(const struct gateway *gateway, enum upstream_id id)
{
    return id == IDENTITY ? gateway->settings->identity_url : gateway->settings->trade_ledger_url;
}

/* The path was decoded; only what needs no encoding is passed on, so that nothing means one thing here and another
 * there. */
static bool path_is_plain(const char *path)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/-_.";
    return path[strspn(path, plain)] == '\0' && !strstr(path, "..") && !strstr(path, "//");
}

static bool admit(struct gateway *gateway, struct http_call *call)
{
    const struct http_request *request = &call->request;
    char client[96];
    if (request->claims.user_id)
        snprintf(client, sizeof client, "user:%llu", (unsigned long long)request->claims.user_id);
    else
        snprintf(client, sizeof client, "peer:%s", request->peer);
    uint32_t wait_ms;
    if (rate_limit_take(gateway->limit, client, monotonic_us(), &wait_ms))
        return true;
    call->reply.retry_after_s = (wait_ms + 999) / 1000;
    return error_field(
        &call->error, ERROR_TRANSIENT, "rate-limited", "", "too many requests; the next is due in %u ms", wait_ms);
}

bool gateway_proxy(struct service_runtime *runtime, struct http_call *call)
{
    struct gateway *gateway = service_state();
    const char *path = call->request.path;
    if (!admit(gateway, call)) {
        service_reply(runtime, call);
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(ways) && path_is_plain(path); i++) {
        if (strncmp(path, ways[i].prefix, strlen(ways[i].prefix)) != 0)
            continue;
        upstream_forward(gateway->upstreams, call, base_url(gateway, ways[i].upstream), path + ways[i].strip);
        return true;
    }
    return false;
}
