/* receive.h -- from the head of a request to a struct call. */
#pragma once

#include "call.h"
#include "http1.h"

/* Always makes a call, so that there is something to answer; false with *e when it cannot be accepted. */
MUST_CHECK bool receive_call(const struct http1_head *head, const char *peer, struct call **ret_call, struct error *e);
