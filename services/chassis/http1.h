/* http1.h -- the head of an HTTP/1.1 request (RFC 9112), from bytes to fields. Pure: no sockets, no memory of its own.
 *
 * Strict where a lenient reader could disagree with the proxy before it about where a request ends: line ends are CRLF,
 * no folded fields, no space before a colon, one Content-Length at most, no transfer codings. */
#pragma once

#include <event_bus/error.h>

enum {
    HTTP1_HEAD_MAX = 12 * 1024, /* bytes of request line and fields */
    HTTP1_FIELDS_MAX = 64,
};

/* Pieces of the bytes that were parsed; len 0: absent. */
struct http1_head {
    struct bytes method, path, query; /* path as sent, still encoded */
    struct bytes authorization, content_type, idempotency_key, traceparent;
    uint64_t content_length; /* 0: no body */
    bool close;              /* the connection ends after this request */
    bool expects_continue;
    bool unframed; /* refused, and where the request ends is unknown: nothing after it can be read */
};

enum http1_result { HTTP1_MORE, HTTP1_DONE, HTTP1_BAD };

/* MORE: the head is not complete. DONE: *ret_used bytes were the head. BAD: *e says why, ret_head holds what was found.
 */
enum http1_result http1_parse(struct bytes input, struct http1_head *ret_head, size_t *ret_used, struct error *e);

/* Decodes %xx. false: malformed, a control character, or longer than size - 1. */
MUST_CHECK bool http1_decode_path(struct bytes path, char *ret, size_t size);
