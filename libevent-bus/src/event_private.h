/* event_private.h -- the part of event_parse() that reads bytes of strangers, for the fuzzer. */
#pragma once

#include <event_bus/event.h>

/* Fills in what the headers say; list may be NULL. The rest of *event is left alone. */
MUST_CHECK bool event_parse_headers(const rd_kafka_headers_t *list, struct event *event, struct error *e);
