#include "receive.h"

#include <stdlib.h>

static const struct {
    enum lws_token_indexes token;
    const char *name;
} methods[] = {
    { WSI_TOKEN_GET_URI, "GET" },
    { WSI_TOKEN_POST_URI, "POST" },
    { WSI_TOKEN_PUT_URI, "PUT" },
    { WSI_TOKEN_PATCH_URI, "PATCH" },
    { WSI_TOKEN_DELETE_URI, "DELETE" },
    { WSI_TOKEN_HEAD_URI, "HEAD" },
    { WSI_TOKEN_OPTIONS_URI, "OPTIONS" },
};

/* What is read before its length is known. */
struct parts {
    const char *method;
    char path[HTTP_PATH_MAX + 1];
    char query[CALL_QUERY_MAX + 1];
    char authorization[CALL_HEADER_MAX + 1];
    char key[CALL_KEY_MAX + 2]; /* one more than allowed, so that too long is seen */
    char content_type[128];
    char traceparent[TRACEPARENT_LEN + 2];
};

static bool append(char *out, size_t *used, size_t size, const char *text, size_t len)
{
    if (*used + len >= size)
        return false;
    memcpy(out + *used, text, len);
    *used += len;
    out[*used] = '\0';
    return true;
}

/* libwebsockets hands out "name=value" pieces already decoded: they are encoded again, so that a decoded '&' stays a
 * value. */
static bool append_query(struct lws *wsi, char *out, size_t size)
{
    static const char hex[] = "0123456789ABCDEF";
    char piece[CALL_QUERY_MAX + 1];
    size_t used = 0;
    int len = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_URI_ARGS);
    if (len > CALL_QUERY_MAX)
        return false;
    for (int i = 0; (len = lws_hdr_copy_fragment(wsi, piece, (int)sizeof piece, WSI_TOKEN_HTTP_URI_ARGS, i)) >= 0;
         i++) {
        bool name = true;
        if (i > 0 && !append(out, &used, size, "&", 1))
            return false;
        for (int at = 0; at < len; at++) {
            const unsigned char c = (unsigned char)piece[at];
            const char escaped[3] = { '%', hex[c >> 4], hex[c & 15] };
            const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                               strchr("-._~:,/", c) != NULL || (c == '=' && name);
            name = name && c != '=';
            if (!append(out, &used, size, plain ? (const char *)&c : escaped, plain ? 1 : sizeof escaped))
                return false;
        }
    }
    return true;
}

static bool read_token(struct lws *wsi, enum lws_token_indexes token, char *out, size_t size)
{
    out[0] = '\0';
    const int len = lws_hdr_total_length(wsi, token);
    return len <= 0 || lws_hdr_copy(wsi, out, (int)size, token) >= 0;
}

static bool read_custom(struct lws *wsi, const char *name, char *out, size_t size)
{
    const int name_len = (int)strlen(name);
    out[0] = '\0';
    const int len = lws_hdr_custom_length(wsi, name, name_len);
    return len <= 0 || lws_hdr_custom_copy(wsi, out, (int)size, name, name_len) >= 0;
}

static bool read_uri(struct lws *wsi, struct parts *parts, struct error *e)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (lws_hdr_total_length(wsi, methods[i].token) <= 0)
            continue;
        parts->method = methods[i].name;
        if (!read_token(wsi, methods[i].token, parts->path, sizeof parts->path))
            return error_field(e, ERROR_INVALID, "", "path", "the path is longer than %d bytes", HTTP_PATH_MAX);
    }
    for (const char *p = parts->path; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return error_field(e, ERROR_INVALID, "", "path", "the path has control characters");
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_URI_ARGS) > 0 && !append_query(wsi, parts->query, sizeof parts->query))
        return error_field(e, ERROR_INVALID, "", "query", "the query is longer than %d bytes", CALL_QUERY_MAX);
    return true;
}

static bool read_fields(struct lws *wsi, struct parts *parts, struct error *e)
{
    if (!read_token(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, parts->authorization, sizeof parts->authorization))
        return error_field(e, ERROR_INVALID, "headers-too-large", "Authorization", "the header is too long");
    if (!read_token(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE, parts->content_type, sizeof parts->content_type))
        return error_field(e, ERROR_INVALID, "unsupported-media-type", "Content-Type", "the header is too long");
    if (!read_custom(wsi, "idempotency-key:", parts->key, sizeof parts->key))
        return error_field(e, ERROR_INVALID, "", "Idempotency-Key",
            "the header Idempotency-Key must be at most %d printable ASCII characters", CALL_KEY_MAX);
    /* A trace header that cannot be read is as good as none. */
    if (!read_custom(wsi, "traceparent:", parts->traceparent, sizeof parts->traceparent))
        parts->traceparent[0] = '\0';
    return true;
}

static const char *put(char **at, const char *text, size_t len)
{
    char *start = *at;
    memcpy(start, text, len);
    start[len] = '\0';
    *at += len + 1;
    return start;
}

/* One block: the call, then all its strings, then room for the path's parameters. */
static struct call *make_call(const struct parts *parts, const char *peer)
{
    const size_t path_len = strlen(parts->path);
    const size_t query_len = strlen(parts->query), authorization_len = strlen(parts->authorization);
    const size_t key_len = strlen(parts->key), type_len = strlen(parts->content_type), peer_len = strlen(peer);
    const size_t strings = path_len + query_len + authorization_len + key_len + type_len + peer_len + 6;
    struct call *call = xmalloc(sizeof *call + strings + path_len + HTTP_PARAMS_MAX);
    memset(call, 0, sizeof *call);
    char *at = call->text;
    call->http.request = (struct http_request){
        .method = parts->method ? parts->method : "GET",
        .path = put(&at, parts->path, path_len),
        .query = put(&at, parts->query, query_len),
        .authorization = put(&at, parts->authorization, authorization_len),
        .idempotency_key = put(&at, parts->key, key_len),
        .content_type = put(&at, parts->content_type, type_len),
        .peer = put(&at, peer, peer_len),
    };
    call->params = at;
    call->head = parts->method && strcmp(parts->method, "HEAD") == 0;
    struct trace parent;
    if (trace_parse(parts->traceparent, &parent))
        trace_child(&parent, &call->http.request.trace);
    else
        trace_new(&call->http.request.trace);
    return call;
}

static bool wants_close(struct lws *wsi)
{
    char version[16];
    char connection[64];
    const bool current = read_token(wsi, WSI_TOKEN_HTTP, version, sizeof version) && strcmp(version, "HTTP/1.1") == 0;
    if (!read_token(wsi, WSI_TOKEN_CONNECTION, connection, sizeof connection))
        return true;
    return current ? strcasestr(connection, "close") != NULL : strcasecmp(connection, "keep-alive") != 0;
}

static bool read_body_kind(
    struct lws *wsi, const char *method, struct receive_body *ret, bool *ret_close, struct error *e)
{
    char text[24];
    *ret = (struct receive_body){ .none = true };
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0) {
        *ret = (struct receive_body){ .unframed = true };
        return error_field(e, ERROR_INVALID, "length-required", "Transfer-Encoding",
            "send the body with a Content-Length; transfer codings are not accepted");
    }
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0) {
        /* libwebsockets waits for a body after these three, come what may: the connection cannot be used again. */
        *ret_close |= strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
        return true;
    }
    const bool fits = read_token(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, text, sizeof text);
    if (!fits || !text[0] || strlen(text) > 15 || strspn(text, "0123456789") != strlen(text)) {
        *ret = (struct receive_body){ .unframed = true };
        return error_field(e, ERROR_INVALID, "", "Content-Length", "Content-Length must be one whole number");
    }
    ret->length = strtoull(text, NULL, 10);
    ret->none = ret->length == 0;
    return true;
}

bool receive_request(
    struct lws *wsi, const char *peer, struct call **ret_call, struct receive_body *ret_body, struct error *e)
{
    struct parts parts;
    parts.method = NULL;
    parts.path[0] = parts.query[0] = parts.authorization[0] = '\0';
    parts.key[0] = parts.content_type[0] = parts.traceparent[0] = '\0';
    const bool read = read_uri(wsi, &parts, e) && read_fields(wsi, &parts, e);
    struct call *call = make_call(&parts, peer);
    *ret_call = call;
    call->close = wants_close(wsi);
    struct error framing = { 0 };
    const bool framed = read_body_kind(wsi, call->http.request.method, ret_body, &call->close, &framing);
    call->close |= ret_body->unframed;
    if (read && !framed)
        *e = framing;
    return read && framed;
}
