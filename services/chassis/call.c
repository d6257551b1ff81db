#include "call.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void call_free(struct call *call)
{
    if (!call)
        return;
    call_reset(&call->http);
    json_decref(call->http.request.json);
    xfree(call->body);
    xfree(call->answer);
    xfree(call);
}

void call_reset(struct http_call *http)
{
    json_decref(http->reply.json);
    xfree(http->reply.body);
    http->reply = (struct http_reply){ 0 };
    error_clear(&http->error);
}

bool call_append_body(struct call *call, const void *data, size_t len, size_t max)
{
    if (len > max - call->body_len)
        return false;
    if (call->body_len + len > call->body_size) {
        const size_t doubled = call->body_size ? call->body_size * 2 : 512;
        call->body_size = doubled < call->body_len + len ? call->body_len + len : doubled;
        call->body = xrealloc(call->body, call->body_size);
    }
    if (len > 0)
        memcpy(call->body + call->body_len, data, len);
    call->body_len += len;
    call->http.request.body = (struct bytes){ call->body, call->body_len };
    return true;
}

/* jansson recurses for each level, so depth is bounded before it is asked. */
bool call_check_json_depth(struct bytes text, struct error *e)
{
    const char *p = text.data;
    const char *end = p + text.len;
    unsigned depth = 0;
    bool in_string = false;
    for (; p < end; p++) {
        if (in_string) {
            if (*p == '\\')
                p++;
            else if (*p == '"')
                in_string = false;
        } else if (*p == '"') {
            in_string = true;
        } else if (*p == '{' || *p == '[') {
            if (++depth > CALL_JSON_DEPTH_MAX)
                return error_field(e, ERROR_INVALID, "malformed-json", "",
                    "the body nests objects and arrays deeper than %d levels", CALL_JSON_DEPTH_MAX);
        } else if ((*p == '}' || *p == ']') && depth > 0) {
            depth--;
        }
    }
    return true;
}

bool call_check_key(const char *key, bool needed, struct error *e)
{
    const size_t len = strlen(key);
    if (len == 0 && needed)
        return error_field(e, ERROR_INVALID, "idempotency-key-missing", "Idempotency-Key",
            "the header Idempotency-Key is missing: send one of your own making for each request");
    bool printable = true;
    for (const char *p = key; *p; p++)
        printable = printable && *p >= 0x20 && *p < 0x7f;
    if (len > CALL_KEY_MAX || !printable)
        return error_field(e, ERROR_INVALID, "", "Idempotency-Key",
            "the header Idempotency-Key must be at most %d printable ASCII characters", CALL_KEY_MAX);
    return true;
}

/* "application/json", "application/problem+json; charset=utf-8", … or nothing at all; and what `curl -d` says of any
 * body. */
static bool is_json_type(const char *content_type)
{
    static const char *const accepted[] = { "application/json", "application/x-www-form-urlencoded" };
    const size_t len = strcspn(content_type, "; ");
    if (len == 0)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(accepted); i++)
        if (len == strlen(accepted[i]) && strncasecmp(content_type, accepted[i], len) == 0)
            return true;
    return len > 5 && strncasecmp(content_type + len - 5, "+json", 5) == 0;
}

bool call_prepare(struct call *call, struct error *e)
{
    struct http_request *request = &call->http.request;
    if (!call->route || !call->route->spec->json || request->json)
        return true;
    if (!is_json_type(request->content_type))
        return error_field(
            e, ERROR_INVALID, "unsupported-media-type", "Content-Type", "the body must be application/json");
    if (!call_check_json_depth(request->body, e))
        return false;
    json_error_t fault;
    json_t *json =
        json_loadb(request->body.data ? request->body.data : "", request->body.len, JSON_REJECT_DUPLICATES, &fault);
    if (!json)
        return error_field(
            e, ERROR_INVALID, "malformed-json", "", "line %d, column %d: %s", fault.line, fault.column, fault.text);
    if (!json_is_object(json)) {
        json_decref(json);
        return error_field(e, ERROR_INVALID, "malformed-json", "", "the body must be a JSON object");
    }
    request->json = json;
    return true;
}

static const char *reason_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 301, "Moved Permanently" },
        { 302, "Found" },
        { 304, "Not Modified" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 411, "Length Required" },
        { 413, "Content Too Large" },
        { 415, "Unsupported Media Type" },
        { 422, "Unprocessable Content" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
    };
    for (size_t i = 0; i < ARRAY_LEN(phrases); i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "";
}

/* "Sun, 06 Nov 1994 08:49:37 GMT": formatted once a second in each thread. */
static const char *http_date(void)
{
    static _Thread_local char text[40];
    static _Thread_local time_t at;
    const time_t now = time(NULL);
    if (now != at) {
        struct tm tm;
        gmtime_r(&now, &tm);
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        at = now;
    }
    return text;
}

/* What the error says to the client. What a library or a server said stays in the log: it may name hosts and tables. */
static void render_error(struct http_call *http)
{
    struct error shown = http->error;
    if (shown.kind == ERROR_FATAL)
        shown = (struct error){ .kind = ERROR_FATAL };
    if (shown.kind == ERROR_TRANSIENT && shown.code != 0)
        shown.message[0] = '\0';
    struct http_reply *reply = &http->reply;
    json_decref(reply->json);
    xfree(reply->body);
    *reply = (struct http_reply){
        .status = http_status(&shown),
        .json = http_problem(&shown, &http->request.trace),
        .content_type = "application/problem+json",
        .retry_after_s = reply->retry_after_s,
    };
    if (reply->retry_after_s == 0 && (reply->status == 503 || reply->status == 429))
        reply->retry_after_s = 1;
}

enum { HEAD_MAX = 1024 };

/* Status line and header fields. Every text in it is ours or checked to be printable. */
static size_t render_head(const struct call *call, size_t body_len, char *out)
{
    const struct http_reply *reply = &call->http.reply;
    char id[33];
    trace_id(&call->http.request.trace, id);
    int used = snprintf(out, HEAD_MAX, "HTTP/1.1 %d %s\r\nDate: %s\r\nX-Request-Id: %s\r\ntraceresponse: %s\r\n",
        reply->status, reason_phrase(reply->status), http_date(), id, call->http.request.trace.parent);
#define ADD(...) used += snprintf(out + used, (size_t)(HEAD_MAX - used), __VA_ARGS__)
    if (reply->status != 204 && reply->status != 304)
        ADD("Content-Type: %s\r\nContent-Length: %zu\r\n",
            reply->content_type ? reply->content_type : "application/json", body_len);
    if (reply->location[0])
        ADD("Location: %s\r\n", reply->location);
    if (reply->retry_after_s)
        ADD("Retry-After: %u\r\n", reply->retry_after_s);
    if (reply->replayed)
        ADD("Idempotency-Replayed: true\r\n");
    if (reply->status == 401)
        ADD("WWW-Authenticate: Bearer\r\n");
    if (call->allow[0])
        ADD("Allow: %s\r\n", call->allow);
    ADD("Connection: %s\r\n\r\n", call->close ? "close" : "keep-alive");
#undef ADD
    assert(used < HEAD_MAX);
    return (size_t)used;
}

void call_render(struct call *call)
{
    struct http_reply *reply = &call->http.reply;
    if (call->http.error.kind != ERROR_NONE)
        render_error(&call->http);
    if (reply->status == 0)
        reply->status = 200;
    char *dumped = reply->json ? json_dumps(reply->json, JSON_COMPACT) : NULL;
    const char *body = dumped ? dumped : reply->body;
    const size_t body_len = dumped ? strlen(dumped) : reply->body ? reply->body_len : 0;
    const bool has_body = !call->head && reply->status != 204 && reply->status != 304;
    xfree(call->answer);
    call->answer = xmalloc(HEAD_MAX + body_len);
    call->answer_len = render_head(call, body_len, call->answer);
    if (has_body && body_len) {
        memcpy(call->answer + call->answer_len, body, body_len);
        call->answer_len += body_len;
    }
    free(dumped);
}
