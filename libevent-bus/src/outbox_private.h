/* outbox_private.h -- what was gathered, for a consumer that publishes it to Kafka itself. */
#pragma once

#include <event_bus/outbox.h>

struct outbox_row {
    const char *topic, *type, *traceparent; /* traceparent "": none */
    struct bytes key, payload;
    const char *const *headers; /* name, value, …, NULL; or NULL */
};

/* Borrowed until the outbox changes. */
struct outbox_row outbox_at(const struct outbox *outbox, size_t i);
