/* receive.h -- from libwebsockets' header table to a struct call. */
#pragma once

#include "call.h"

#include <libwebsockets.h>

/* How the body is announced. */
struct receive_body {
    bool none;     /* no body, or an announced length of 0 */
    bool unframed; /* Transfer-Encoding or a malformed length: where the request ends is unknown */
    uint64_t length;
};

/* Always makes a call, so that there is something to answer; false with *e when the request cannot be accepted. */
MUST_CHECK bool receive_request(
    struct lws *wsi, const char *peer, struct call **ret_call, struct receive_body *ret_body, struct error *e);
