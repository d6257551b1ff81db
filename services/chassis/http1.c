#include "http1.h"

#include <ctype.h>
#include <stdlib.h>

/* A cursor over the head. */
struct scan {
    const char *at, *end;
};

static bool bad(struct http1_head *head, const char *field, const char *message, struct error *e)
{
    head->unframed = head->close = true;
    return error_field(e, ERROR_INVALID, "", field, "%s", message);
}

static bool is_token_char(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static struct bytes take_token(struct scan *scan)
{
    const char *start = scan->at;
    while (scan->at < scan->end && is_token_char(*scan->at))
        scan->at++;
    return (struct bytes){ start, (size_t)(scan->at - start) };
}

static bool take_char(struct scan *scan, char c)
{
    if (scan->at == scan->end || *scan->at != c)
        return false;
    scan->at++;
    return true;
}

static bool take_line_end(struct scan *scan)
{
    return take_char(scan, '\r') && take_char(scan, '\n');
}

static bool equals(struct bytes text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.data, word, text.len) == 0;
}

/* Is `word` an element of a comma-separated list? */
static bool list_has(struct bytes list, const char *word)
{
    const char *at = list.data;
    const char *end = at + list.len;
    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma ? comma : end;
        struct bytes item = { at, (size_t)(stop - at) };
        while (item.len && strchr(" \t", *(const char *)item.data))
            item = (struct bytes){ (const char *)item.data + 1, item.len - 1 };
        while (item.len && strchr(" \t", ((const char *)item.data)[item.len - 1]))
            item.len--;
        if (equals(item, word))
            return true;
        at = stop + 1;
    }
    return false;
}

/* "/path?query", "http://host/path?query" (as sent to a proxy), or "*". */
static bool split_target(struct bytes target, struct http1_head *head)
{
    const char *at = target.data;
    const char *end = at + target.len;
    if (target.len > 7 && strncasecmp(at, "http://", 7) == 0) {
        const char *slash = memchr(at + 7, '/', target.len - 7);
        if (!slash)
            return false;
        at = slash;
    }
    if (*at != '/' && !(target.len == 1 && *at == '*'))
        return false;
    const char *mark = memchr(at, '?', (size_t)(end - at));
    head->path = (struct bytes){ at, (size_t)((mark ? mark : end) - at) };
    head->query = mark ? (struct bytes){ mark + 1, (size_t)(end - mark - 1) } : (struct bytes){ "", 0 };
    return true;
}

static bool parse_request_line(struct scan *scan, struct http1_head *head, struct error *e)
{
    head->method = take_token(scan);
    if (head->method.len == 0 || !take_char(scan, ' '))
        return bad(head, "method", "the request does not begin with a method", e);
    const char *start = scan->at;
    while (scan->at<scan->end && * scan->at> 0x20 && *scan->at < 0x7f)
        scan->at++;
    const struct bytes target = { start, (size_t)(scan->at - start) };
    if (target.len == 0 || !take_char(scan, ' ') || !split_target(target, head))
        return bad(head, "path", "the request target must be a path of visible ASCII characters", e);
    const struct bytes version = { scan->at, (size_t)(scan->end - scan->at) < 8 ? 0 : 8 };
    scan->at += version.len;
    if (version.len == 0 || memcmp(version.data, "HTTP/1.", 7) != 0 || !isdigit((unsigned char)scan->at[-1]) ||
        !take_line_end(scan))
        return bad(head, "version", "this is an HTTP/1.1 server", e);
    head->close = scan->at[-3] == '0';
    return true;
}

/* A field that may be sent once. */
static bool set_once(
    struct bytes *field, struct bytes value, const char *name, struct http1_head *head, struct error *e)
{
    if (field->data)
        return bad(head, name, "the header field was sent twice", e);
    *field = value;
    return true;
}

static bool set_length(struct http1_head *head, struct bytes value, bool *seen, struct error *e)
{
    const char *text = value.data;
    uint64_t length = 0;
    bool number = value.len > 0 && value.len <= 15 && !*seen;
    for (size_t i = 0; i < value.len && number; i++) {
        number = isdigit((unsigned char)text[i]);
        length = length * 10 + (uint64_t)(text[i] - '0');
    }
    if (!number)
        return bad(head, "Content-Length", "Content-Length must be one whole number", e);
    *seen = true;
    head->content_length = length;
    return true;
}

static bool set_field(
    struct http1_head *head, struct bytes name, struct bytes value, bool *length_seen, struct error *e)
{
    const struct {
        const char *name;
        struct bytes *field;
    } once[] = {
        { "Authorization", &head->authorization },
        { "Content-Type", &head->content_type },
        { "Idempotency-Key", &head->idempotency_key },
        { "traceparent", &head->traceparent },
    };
    for (size_t i = 0; i < ARRAY_LEN(once); i++)
        if (equals(name, once[i].name))
            return set_once(once[i].field, value, once[i].name, head, e);
    if (equals(name, "Content-Length"))
        return set_length(head, value, length_seen, e);
    if (equals(name, "Transfer-Encoding")) {
        bad(head, "Transfer-Encoding", "send the body with a Content-Length; transfer codings are not accepted", e);
        return error_field(e, ERROR_INVALID, "length-required", "Transfer-Encoding", "%s",
            "send the body with a Content-Length; transfer codings are not accepted");
    }
    if (equals(name, "Connection"))
        head->close = list_has(value, "close") || (head->close && !list_has(value, "keep-alive"));
    if (equals(name, "Expect"))
        head->expects_continue = equals(value, "100-continue");
    return true;
}

static bool parse_field(struct scan *scan, struct http1_head *head, bool *length_seen, struct error *e)
{
    const struct bytes name = take_token(scan);
    if (name.len == 0 || !take_char(scan, ':'))
        return bad(head, "header", "a header field is malformed", e);
    while (take_char(scan, ' ') || take_char(scan, '\t'))
        ;
    struct bytes value = { scan->at, 0 };
    while (scan->at < scan->end && ((unsigned char)*scan->at >= 0x20 || *scan->at == '\t') && *scan->at != 0x7f)
        scan->at++;
    value.len = (size_t)(scan->at - (const char *)value.data);
    while (value.len && strchr(" \t", ((const char *)value.data)[value.len - 1]))
        value.len--;
    if (!take_line_end(scan))
        return bad(head, "header", "a header field is malformed", e);
    return set_field(head, name, value, length_seen, e);
}

enum http1_result http1_parse(struct bytes input, struct http1_head *ret_head, size_t *ret_used, struct error *e)
{
    *ret_head = (struct http1_head){ 0 };
    const size_t window = input.len < HTTP1_HEAD_MAX ? input.len : HTTP1_HEAD_MAX;
    const char *stop = memmem(input.data, window, "\r\n\r\n", 4);
    if (!stop && window < HTTP1_HEAD_MAX)
        return HTTP1_MORE;
    if (!stop) {
        ret_head->unframed = ret_head->close = true;
        error_field(e, ERROR_INVALID, "headers-too-large", "",
            "request line and header fields may have %d bytes together", HTTP1_HEAD_MAX);
        return HTTP1_BAD;
    }
    struct scan scan = { input.data, stop + 2 };
    bool length_seen = false;
    if (!parse_request_line(&scan, ret_head, e))
        return HTTP1_BAD;
    for (unsigned fields = 0; scan.at < scan.end; fields++) {
        if (fields == HTTP1_FIELDS_MAX) {
            bad(ret_head, "header", "too many header fields", e);
            return HTTP1_BAD;
        }
        if (!parse_field(&scan, ret_head, &length_seen, e))
            return HTTP1_BAD;
    }
    *ret_used = (size_t)(stop + 4 - (const char *)input.data);
    return HTTP1_DONE;
}

static int hex_value(char c)
{
    const char *const digits = "0123456789abcdef";
    const char *found = c ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return found ? (int)(found - digits) : -1;
}

bool http1_decode_path(struct bytes path, char *ret, size_t size)
{
    const char *text = path.data;
    size_t used = 0;
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '%') {
            if (path.len - i < 3 || hex_value(text[i + 1]) < 0 || hex_value(text[i + 2]) < 0)
                return false;
            c = (unsigned char)(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
            i += 2;
        }
        if (c < 0x20 || c == 0x7f || used + 1 >= size)
            return false;
        ret[used++] = (char)c;
    }
    ret[used] = '\0';
    return true;
}
