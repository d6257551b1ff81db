/* trace.h -- W3C Trace Context (https://www.w3.org/TR/trace-context/), version 00: "00-<32 hex>-<16 hex>-<2 hex>". Any
 * thread. */
#pragma once

#include "base.h"

enum { TRACEPARENT_LEN = 55 };

struct trace {
    char parent[TRACEPARENT_LEN + 1]; /* the traceparent to send on; "" means none */
};

EB_API void trace_new(struct trace *ret_trace);                            /* a new trace id */
EB_API bool trace_parse(const char *traceparent, struct trace *ret_trace); /* false and ret "" if malformed or NULL */
EB_API void trace_child(
    const struct trace *parent, struct trace *ret_trace); /* same trace id, new span id; of none: a new trace */
EB_API void trace_id(const struct trace *trace, char ret_hex[33]); /* "" without a trace */
