/* front.c -- the checks every request passes before a handler sees it, and the way to that handler. Loop thread. */
#include "runtime.h"

enum { LANE_READ_MAX = 4096 }; /* bytes of a body that is read here for a lane */

static void put_params(struct call *call, const struct router_match *match)
{
    char *at = call->params;
    for (size_t i = 0; i < HTTP_PARAMS_MAX && match->params[i].data; i++) {
        const struct bytes piece = match->params[i];
        memcpy(at, piece.data, piece.len);
        at[piece.len] = '\0';
        call->http.request.params[i] = at;
        at += piece.len + 1;
    }
}

static bool find_route(const struct service_runtime *runtime, struct call *call, struct error *e)
{
    const struct http_request *request = &call->http.request;
    struct router_match match = { 0 };
    switch (router_match(&runtime->router, request->method, request->path, &match)) {
    case ROUTER_FOUND:
        call->route = match.route;
        put_params(call, &match);
        return true;
    case ROUTER_NO_METHOD:
        router_allow(&runtime->router, request->path, call->allow, sizeof call->allow);
        if (strcmp(request->method, "OPTIONS") == 0)
            return true; /* answered by front_dispatch(), with "Allow" */
        return error_field(e, ERROR_INVALID, "method-not-allowed", "", "%s is not allowed here", request->method);
    case ROUTER_NO_PATH:
        break;
    }
    return error_field(e, ERROR_NOT_FOUND, "", "", "there is nothing at this path");
}

static const char *bearer_token(const char *authorization)
{
    static const char scheme[] = "Bearer ";
    if (strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return NULL;
    authorization += sizeof scheme - 1;
    return authorization + strspn(authorization, " ");
}

static bool check_token(
    const struct service_runtime *runtime, enum http_auth auth, struct http_request *request, struct error *e)
{
    if (auth == HTTP_AUTH_NONE)
        return true;
    const char *token = bearer_token(request->authorization);
    if (!token || !token[0])
        return error_set(e, ERROR_UNAUTHENTICATED, "send an access token: Authorization: Bearer <token>");
    bool unknown_key = false;
    if (!jwt_verify(runtime->verifier, token, now_us() / 1000000, &request->claims, &unknown_key, e)) {
        const bool fetched = unknown_key && runtime->keys;
        if (fetched)
            keys_ask(runtime->keys);
        if (fetched && !keys_loaded(runtime->keys))
            return error_set(e, ERROR_TRANSIENT, "tokens cannot be checked yet: the identity service has not answered");
        return false;
    }
    const bool is_service = request->claims.user_id == 0;
    if (auth != HTTP_AUTH_ANY && is_service != (auth == HTTP_AUTH_SERVICE))
        return error_set(e, ERROR_DENIED, "this is for %s only", auth == HTTP_AUTH_SERVICE ? "services" : "users");
    return true;
}

bool front_check(void *context, struct call *call, size_t *ret_body_max, struct error *e)
{
    const struct service_runtime *runtime = context;
    struct http_request *request = &call->http.request;
    *ret_body_max = HTTP_BODY_MAX;
    if (!find_route(runtime, call, e))
        return false;
    if (!call->route)
        return true;
    const struct http_route *spec = call->route->spec;
    if (spec->body_max)
        *ret_body_max = spec->body_max;
    return check_token(runtime, spec->auth, request, e) &&
           call_check_key(request->idempotency_key, spec->idempotent, e);
}

static void answer_error(struct service_runtime *runtime, struct call *call, const struct error *e)
{
    call->http.error = *e;
    server_answer_now(runtime->server, call);
}

static void dispatch_proxied(struct service_runtime *runtime, struct call *call)
{
    struct error e = { 0 };
    if (!call_prepare(call, &e)) {
        answer_error(runtime, call, &e);
        return;
    }
    if (runtime->service->proxy(runtime, &call->http))
        return;
    error_set(&e, ERROR_NOT_FOUND, "there is nothing at this path");
    answer_error(runtime, call, &e);
}

/* A lane has one thread for all: what another can do is not left to it. Large bodies would keep the loop too long. */
static bool read_for_lane(struct call *call, struct error *e)
{
    return !call->route->spec->handle_batch || call->http.request.body.len > LANE_READ_MAX || call_prepare(call, e);
}

void front_dispatch(void *context, struct call *call)
{
    struct service_runtime *runtime = context;
    struct error e = { 0 };
    if (!call->route) {
        call->http.reply.status = 204;
        server_answer_now(runtime->server, call);
    } else if (call->route->on_loop) {
        call->route->on_loop(runtime, &call->http);
        server_answer_now(runtime->server, call);
    } else if (call->route->queue_count == 0) {
        dispatch_proxied(runtime, call);
    } else if (!read_for_lane(call, &e)) {
        answer_error(runtime, call, &e);
    } else if (!queue_push(call->route->queues[call->http.request.claims.user_id % call->route->queue_count], call)) {
        error_set(&e, ERROR_TRANSIENT, "too many requests are waiting");
        answer_error(runtime, call, &e);
    }
}

void service_reply(struct service_runtime *runtime, struct http_call *http)
{
    server_answer_now(runtime->server, call_of(http));
}
