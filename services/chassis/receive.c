#include "receive.h"

static const char *known_method(struct bytes method)
{
    static const char *const methods[] = { "GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS" };
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (method.len == strlen(methods[i]) && memcmp(method.data, methods[i], method.len) == 0)
            return methods[i];
    return "other"; /* no route has it: 404 or 405 */
}

static const char *put(char **at, struct bytes text)
{
    char *start = *at;
    if (text.len)
        memcpy(start, text.data, text.len);
    start[text.len] = '\0';
    *at += text.len + 1;
    return start;
}

/* One block: the call, then all its strings, then room for the path's parameters. */
static struct call *make_call(const struct http1_head *head, const char *path, const char *peer)
{
    const size_t path_len = strlen(path), peer_len = strlen(peer);
    const size_t strings = path_len + peer_len + head->query.len + head->authorization.len + head->idempotency_key.len +
                           head->content_type.len + 6;
    struct call *call = xmalloc(sizeof *call + strings + path_len + HTTP_PARAMS_MAX);
    memset(call, 0, sizeof *call);
    char *at = call->text;
    call->http.request = (struct http_request){
        .method = known_method(head->method),
        .path = put(&at, (struct bytes){ path, path_len }),
        .query = put(&at, head->query),
        .authorization = put(&at, head->authorization),
        .idempotency_key = put(&at, head->idempotency_key),
        .content_type = put(&at, head->content_type),
        .peer = put(&at, (struct bytes){ peer, peer_len }),
    };
    call->params = at;
    call->close = head->close;
    call->head = strcmp(call->http.request.method, "HEAD") == 0;
    return call;
}

/* A traceparent that cannot be read is as good as none. */
static void set_trace(struct http_request *request, struct bytes sent)
{
    char text[TRACEPARENT_LEN + 1] = "";
    struct trace parent;
    if (sent.len == TRACEPARENT_LEN)
        memcpy(text, sent.data, sent.len);
    if (trace_parse(text, &parent))
        trace_child(&parent, &request->trace);
    else
        trace_new(&request->trace);
}

bool receive_call(const struct http1_head *head, const char *peer, struct call **ret_call, struct error *e)
{
    char path[HTTP_PATH_MAX + 1] = "";
    const bool decoded = http1_decode_path(head->path, path, sizeof path);
    *ret_call = make_call(head, decoded ? path : "", peer);
    set_trace(&(*ret_call)->http.request, head->traceparent);
    if (decoded)
        return true;
    return error_field(e, ERROR_INVALID, "", "path",
        "the path must be well encoded, without control characters, and have "
        "at most %d bytes",
        HTTP_PATH_MAX);
}
