/* producer.h -- publishes events without a database: idempotent, acks=all. For what has a database, use the outbox.
 * Thread-safe. Delivery is reported by producer_flush(); a failed delivery makes it return false. */
#pragma once

#include "event.h"
#include "kafka.h"

struct producer;

/* source: ce_source of all its events. Errors: INVALID (a setting, named), FATAL. */
EB_API MUST_CHECK bool producer_open(
    const struct kafka_options *options, const char *source, struct producer **ret_producer, struct error *e);
EB_API void producer_free(struct producer *producer); /* drops what was not flushed; NULL is fine */
DEFINE_CLEANUP(struct producer *, producer_free)

/* Queues one event; blocks while the local queue is full, at most 30 s. id NULL: a random UUID. The type is the
 * message's protobuf name. traceparent NULL: a new trace. Errors: TRANSIENT, INVALID (unknown topic, too large), FATAL.
 */
EB_API MUST_CHECK bool producer_send(struct producer *producer, const char *topic, const char *key, const char *id,
    const ProtobufCMessage *message, const char *traceparent, struct error *e);

/* Waits until all queued events are acknowledged by the broker. Errors: TRANSIENT on timeout; the first delivery
 * failure. */
EB_API MUST_CHECK bool producer_flush(struct producer *producer, uint32_t timeout_ms, struct error *e);
