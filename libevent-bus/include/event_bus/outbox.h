/* outbox.h -- events that are published if, and only if, the caller's transaction commits.
 *
 * The rows go to table `outbox` of the caller's database (schemas/common/); outbox-relay publishes them exactly once,
 * in commit order per key. Gather in an outbox while deciding, write once before pg_commit(). One thread. What is
 * not C calls the SQL function outbox_write(topic, key, type, payload, traceparent, headers) of schemas/common/. */
#pragma once

#include "event.h"
#include "pg.h"

struct outbox;

EB_API struct outbox *outbox_new(void);
EB_API void outbox_free(struct outbox *outbox); /* NULL is fine */
DEFINE_CLEANUP(struct outbox *, outbox_free)

/* All is copied; the type is the message's protobuf name; key may be NULL; traceparent may be NULL or "", and is
 * dropped when malformed. */
EB_API void outbox_add(struct outbox *outbox, const char *topic, const char *key, const ProtobufCMessage *message,
    const char *traceparent);
/* The same with a payload already encoded, and extra Kafka headers: name, value, name, value, …, NULL; headers may be
 * NULL. In type and headers, what is not UTF-8 without control characters becomes '?': a dead letter must not die of
 * its reason. */
EB_API void outbox_add_raw(struct outbox *outbox, const char *topic, struct bytes key, const char *type,
    struct bytes payload, const char *traceparent, const char *const *headers);

EB_API size_t outbox_count(const struct outbox *outbox);
EB_API void outbox_clear(struct outbox *outbox); /* forget what was gathered: the batch is rolled back */

/* Queues one statement that inserts all gathered events in the order they were added, then clears. Nothing gathered: no
 * statement. Errors: as pg_send(). */
EB_API MUST_CHECK bool outbox_write(struct outbox *outbox, struct pg *pg, struct error *e);
