/* upstream.c -- libcurl's multi_socket interface on a libuv loop. See upstream.h. */
#include "upstream.h"

#include "../chassis/log.h"

#include <assert.h>
#include <curl/curl.h>
#include <string.h>
#include <strings.h>

enum { TARGETS_MAX = 8 };

/* One service behind. What is beyond its connections waits here, in order: libcurl walks its own list of what waits at
 * every answer. */
struct target {
    const char *base_url;
    struct exchange *waiting, **last;
    size_t running;
};

struct socket_watch {
    uv_poll_t poll;
    curl_socket_t fd;
    struct upstreams *upstreams;
};

struct exchange {
    struct upstreams *upstreams;
    struct target *target;
    struct http_call *call;
    CURL *easy; /* NULL while it waits */
    struct exchange *waiting_next;
    uint64_t deadline_ms; /* on the loop's clock */
    struct curl_slist *headers;
    char *url;
    char *body;
    size_t body_len, body_capacity;
    const char *content_type;
    char location[128];
    uint32_t retry_after_s;
    bool replayed, repeatable, repeated, too_large;
    struct exchange *next, **link; /* under way, so that closing can answer them */
};

struct upstreams {
    struct service_runtime *runtime;
    uv_loop_t *loop;
    uv_timer_t timer;
    CURLM *multi;
    uint32_t timeout_ms;
    size_t in_flight;
    struct exchange *first;
    struct target targets[TARGETS_MAX];
    size_t target_count;
    CURL *idle[TARGETS_MAX * UPSTREAM_CONNECTIONS_MAX];
    size_t idle_count;
    bool closing;
};

/* Only these content types leave the gateway; struct http_reply wants a static string. */
static const char *known_content_type(const char *value, size_t len)
{
    static const char *const known[] = { "application/json", "application/problem+json", "text/plain; charset=utf-8",
        "text/csv; charset=utf-8", "application/yaml", "text/html; charset=utf-8", "application/pdf" };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        size_t n = strcspn(known[i], ";");
        if (len >= n && strncasecmp(value, known[i], n) == 0 && (len == n || value[n] == ';' || value[n] == ' '))
            return known[i];
    }
    return "application/octet-stream";
}

static bool header_is(const char *line, size_t len, const char *name, const char **ret_value, size_t *ret_len)
{
    size_t n = strlen(name);
    if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
        return false;
    const char *value = line + n + 1;
    size_t left = len - n - 1;
    while (left > 0 && (*value == ' ' || *value == '\t'))
        value++, left--;
    while (left > 0 && (value[left - 1] == '\r' || value[left - 1] == '\n' || value[left - 1] == ' '))
        left--;
    *ret_value = value;
    *ret_len = left;
    return true;
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct exchange *x = context;
    size_t len = size * count, value_len;
    const char *value;
    if (header_is(line, len, "content-type", &value, &value_len)) {
        x->content_type = known_content_type(value, value_len);
    } else if (header_is(line, len, "location", &value, &value_len) && value_len < sizeof x->location) {
        memcpy(x->location, value, value_len);
        x->location[value_len] = '\0';
    } else if (header_is(line, len, "retry-after", &value, &value_len)) {
        x->retry_after_s = (uint32_t)strtoul(value, NULL, 10); /* libcurl ends the line with CRLF */
    } else if (header_is(line, len, "idempotency-replayed", &value, &value_len)) {
        x->replayed = value_len == 4 && strncasecmp(value, "true", 4) == 0;
    }
    return len;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct exchange *x = context;
    size_t len = size * count;
    if (x->body_len + len > UPSTREAM_REPLY_MAX) {
        x->too_large = true;
        return 0; /* makes libcurl fail the transfer */
    }
    if (x->body_len + len > x->body_capacity) {
        x->body_capacity = x->body_capacity * 2 > x->body_len + len ? x->body_capacity * 2 : x->body_len + len + 512;
        x->body = xrealloc(x->body, x->body_capacity);
    }
    memcpy(x->body + x->body_len, data, len);
    x->body_len += len;
    return len;
}

static void exchange_free(struct exchange *x)
{
    struct upstreams *u = x->upstreams;
    if (x->easy) {
        assert(u->idle_count < ARRAY_LEN(u->idle));
        u->idle[u->idle_count++] = x->easy;
        x->target->running--;
    }
    curl_slist_free_all(x->headers);
    *x->link = x->next;
    if (x->next)
        x->next->link = x->link;
    u->in_flight--;
    xfree(x->url);
    xfree(x->body);
    xfree(x);
}

static void answer_error(struct upstreams *u, struct http_call *call, const char *problem, const char *message)
{
    error_field(&call->error, ERROR_TRANSIENT, problem, "", "%s", message);
    call->reply.retry_after_s = 1;
    service_reply(u->runtime, call);
}

static void answer_reply(struct exchange *x)
{
    struct http_call *call = x->call;
    long status = 0;
    curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
    call->reply.status = (int)status;
    call->reply.body_len = x->body_len;
    call->reply.body = x->body ? TAKE(x->body) : xstrdup("");
    call->reply.content_type = x->content_type;
    call->reply.retry_after_s = x->retry_after_s;
    call->reply.replayed = x->replayed;
    memcpy(call->reply.location, x->location, sizeof call->reply.location);
    service_reply(x->upstreams->runtime, call);
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    if (!value || !*value)
        return list;
    char *line = xasprintf("%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(list, line);
    xfree(line);
    return longer ? longer : list;
}

static void set_request(struct exchange *x)
{
    const struct http_request *request = &x->call->request;
    struct trace child;
    trace_child(&request->trace, &child);
    x->headers = add_header(NULL, "authorization", request->authorization);
    x->headers = add_header(x->headers, "idempotency-key", request->idempotency_key);
    x->headers = add_header(x->headers, "traceparent", child.parent);
    x->headers = add_header(x->headers, "content-type", request->content_type);
    x->headers = curl_slist_append(x->headers, "Expect:");
    curl_easy_setopt(x->easy, CURLOPT_PRIVATE, x);
    curl_easy_setopt(x->easy, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(x->easy, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(x->easy, CURLOPT_URL, x->url);
    curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->headers);
    curl_easy_setopt(x->easy, CURLOPT_HTTPGET, 1L); /* forgets the last request's body and HEAD */
    if (strcmp(request->method, "POST") == 0 || request->body.len > 0) {
        curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS, request->body.len > 0 ? request->body.data : "");
        curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
    }
    bool head = strcmp(request->method, "HEAD") == 0;
    if (head)
        curl_easy_setopt(x->easy, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST, head ? NULL : request->method);
}

/* With all that is the same for every request. NULL when libcurl has no more. */
static CURL *easy_take(struct upstreams *u)
{
    if (u->idle_count > 0)
        return u->idle[--u->idle_count];
    CURL *easy = curl_easy_init();
    if (!easy)
        return NULL;
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)UPSTREAM_CONNECT_TIMEOUT_MS);
    return easy;
}

/* Sends it, or answers that it cannot be sent. */
static void exchange_start(struct exchange *x)
{
    struct upstreams *u = x->upstreams;
    uint64_t now_ms = uv_now(u->loop);
    if (now_ms >= x->deadline_ms) {
        answer_error(u, x->call, "overloaded", "the service behind is busy; the request was not sent to it");
        exchange_free(x);
        return;
    }
    if (!(x->easy = easy_take(u))) {
        answer_error(u, x->call, "overloaded", "no handle for another request");
        exchange_free(x);
        return;
    }
    x->target->running++;
    set_request(x);
    curl_easy_setopt(x->easy, CURLOPT_TIMEOUT_MS, (long)(x->deadline_ms - now_ms));
    if (curl_multi_add_handle(u->multi, x->easy) != CURLM_OK) {
        answer_error(u, x->call, "overloaded", "the request could not be started");
        exchange_free(x);
    }
}

static void start_waiting(struct upstreams *u, struct target *target)
{
    while (!u->closing && target->waiting && target->running < UPSTREAM_CONNECTIONS_MAX) {
        struct exchange *x = target->waiting;
        if (!(target->waiting = x->waiting_next))
            target->last = &target->waiting;
        exchange_start(x);
    }
}

/* A request that never reached the other side, or whose repetition is harmless, gets a second try: the usual cause is a
 * keep-alive connection that the service closed at the same moment. */
static bool worth_repeating(const struct exchange *x, CURLcode code)
{
    if (x->repeated || x->upstreams->closing || x->body_len > 0)
        return false;
    return x->repeatable && (code == CURLE_GOT_NOTHING || code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR);
}

static void exchange_done(struct exchange *x, CURLcode code)
{
    struct upstreams *u = x->upstreams;
    struct target *target = x->target;
    curl_multi_remove_handle(u->multi, x->easy);
    if (worth_repeating(x, code)) {
        x->repeated = true;
        if (curl_multi_add_handle(u->multi, x->easy) == CURLM_OK)
            return;
    }
    if (code == CURLE_OK) {
        answer_reply(x);
    } else {
        log_trace(LOG_WARN, &x->call->request.trace, "upstream %s: %s", x->url, curl_easy_strerror(code));
        if (code == CURLE_OPERATION_TIMEDOUT)
            answer_error(u, x->call, "upstream-timeout",
                "the service behind did not answer in time; the request may still have effect");
        else
            answer_error(u, x->call, "upstream-unavailable", "the service behind is not reachable");
    }
    exchange_free(x);
    start_waiting(u, target);
}

static void collect(struct upstreams *u)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(u->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        struct exchange *x = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&x);
        exchange_done(x, message->data.result);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct socket_watch *watch = poll->data;
    struct upstreams *u = watch->upstreams;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0, running;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    curl_multi_socket_action(u->multi, watch->fd, flags, &running);
    collect(u);
}

static void on_timer(uv_timer_t *timer)
{
    struct upstreams *u = timer->data;
    int running;
    curl_multi_socket_action(u->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(u);
}

static int set_timer(CURLM *multi, long timeout_ms, void *context)
{
    (void)multi;
    struct upstreams *u = context;
    if (timeout_ms < 0)
        uv_timer_stop(&u->timer);
    else /* 0 must not act inside libcurl's own call: the next turn of the loop is soon enough */
        uv_timer_start(&u->timer, on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

static void watch_closed(uv_handle_t *handle)
{
    xfree(handle->data);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *socket_context)
{
    (void)easy;
    struct upstreams *u = context;
    struct socket_watch *watch = socket_context;
    if (what == CURL_POLL_REMOVE) {
        if (watch) {
            uv_poll_stop(&watch->poll);
            curl_multi_assign(u->multi, fd, NULL);
            uv_close((uv_handle_t *)&watch->poll, watch_closed);
        }
        return 0;
    }
    if (!watch) {
        watch = xcalloc(1, sizeof *watch);
        watch->fd = fd;
        watch->upstreams = u;
        watch->poll.data = watch;
        if (uv_poll_init_socket(u->loop, &watch->poll, fd) != 0) {
            xfree(watch);
            return -1;
        }
        curl_multi_assign(u->multi, fd, watch);
    }
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    uv_poll_start(&watch->poll, events, on_poll);
    return 0;
}

bool upstreams_open(
    struct service_runtime *runtime, uv_loop_t *loop, uint32_t timeout_ms, struct upstreams **ret, struct error *e)
{
    struct upstreams *u = xcalloc(1, sizeof *u);
    *u = (struct upstreams){ .runtime = runtime, .loop = loop, .timeout_ms = timeout_ms };
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || !(u->multi = curl_multi_init())) {
        xfree(u);
        return error_set(e, ERROR_FATAL, "libcurl does not start");
    }
    uv_timer_init(loop, &u->timer);
    u->timer.data = u;
    curl_multi_setopt(u->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(u->multi, CURLMOPT_SOCKETDATA, u);
    curl_multi_setopt(u->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(u->multi, CURLMOPT_TIMERDATA, u);
    curl_multi_setopt(u->multi, CURLMOPT_MAXCONNECTS, (long)(TARGETS_MAX * UPSTREAM_CONNECTIONS_MAX));
    *ret = u;
    return true;
}

static void upstreams_closed(uv_handle_t *handle)
{
    xfree(handle->data);
}

void upstreams_close(struct upstreams *u)
{
    if (!u)
        return;
    u->closing = true;
    while (u->first) {
        struct exchange *x = u->first;
        if (x->easy)
            curl_multi_remove_handle(u->multi, x->easy);
        answer_error(u, x->call, "shutting-down", "the gateway is shutting down");
        exchange_free(x);
    }
    while (u->idle_count > 0)
        curl_easy_cleanup(u->idle[--u->idle_count]);
    curl_multi_cleanup(u->multi); /* closes its sockets through watch_socket() */
    uv_close((uv_handle_t *)&u->timer, upstreams_closed);
}

static struct target *target_of(struct upstreams *u, const char *base_url)
{
    for (size_t i = 0; i < u->target_count; i++) {
        if (strcmp(u->targets[i].base_url, base_url) == 0)
            return &u->targets[i];
    }
    assert(u->target_count < TARGETS_MAX);
    struct target *target = &u->targets[u->target_count++];
    *target = (struct target){ .base_url = base_url, .last = &target->waiting };
    return target;
}

void upstream_forward(struct upstreams *u, struct http_call *call, const char *base_url, const char *path)
{
    const struct http_request *request = &call->request;
    if (u->closing || u->in_flight >= UPSTREAM_IN_FLIGHT_MAX) {
        answer_error(u, call, "overloaded", "too many requests are under way");
        return;
    }
    struct exchange *x = xcalloc(1, sizeof *x);
    *x = (struct exchange){ .upstreams = u,
        .target = target_of(u, base_url),
        .call = call,
        .deadline_ms = uv_now(u->loop) + u->timeout_ms,
        .next = u->first,
        .link = &u->first };
    if (u->first)
        u->first->link = &x->next;
    u->first = x;
    u->in_flight++;
    x->url = *request->query ? xasprintf("%s%s?%s", base_url, path, request->query) : xasprintf("%s%s", base_url, path);
    x->repeatable = strcmp(request->method, "GET") == 0 || *request->idempotency_key;
    *x->target->last = x;
    x->target->last = &x->waiting_next;
    start_waiting(u, x->target);
}
