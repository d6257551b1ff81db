/* event.h -- an event as it travels: CloudEvents 1.0 Kafka protocol binding, binary content mode.
 * (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md)
 * Attributes are headers ce_specversion, ce_id, ce_source, ce_type, ce_time, ce_subject, content-type, and traceparent
 * (read: also ce_traceparent, CloudEvents' own extension, where there is no traceparent); the
 * value is the plain protobuf (content-type application/protobuf). */
#pragma once

#include "base.h"
#include "error.h"
#include "trace.h"

#include <librdkafka/rdkafka.h>
#include <protobuf-c/protobuf-c.h>

enum {
    EVENT_ID_MAX = 128,     /* bytes with the NUL, of ce_id */
    EVENT_SOURCE_MAX = 128, /* ce_source */
    EVENT_TYPE_MAX = 128,   /* ce_type: the full protobuf name, "penstock.orders.v1.PlaceOrder" */
    EVENT_SUBJECT_MAX = 256,
};

/* All strings are borrowed from the message (or the caller). */
struct event {
    const char *topic; /* bare: without the prefix */
    int32_t partition; /* as consumed; ignored when produced */
    int64_t offset;    /* as consumed */
    struct bytes key;
    const char *id, *source, *type; /* never NULL or "" in a parsed event */
    const char *subject;            /* "" if absent */
    const char *traceparent;        /* "" if absent */
    int64_t time_us;                /* 0 if absent */
    struct bytes value;
};

/* Headers for an event. The list is the caller's until a produce call takes it. Errors: INVALID (too long, empty id…).
 */
EB_API MUST_CHECK bool event_headers(const struct event *event, rd_kafka_headers_t **ret_headers, struct error *e);

/* Reads a consumed message. Strings are borrowed from `message` where they are NUL-terminated there (librdkafka does
 * that). Errors: INVALID with field = the header that is missing, repeated, too long or not of this version. *ret_event
 * has topic, partition, offset, key and value set in any case. */
EB_API MUST_CHECK bool event_parse(
    const rd_kafka_message_t *message, const char *bare_topic, struct event *ret_event, struct error *e);

/* Decodes event->value as `descriptor` if event->type is that descriptor's name. The message is the caller's
 * (protobuf_c_message_free_unpacked). Errors: INVALID. */
EB_API MUST_CHECK bool event_decode(const struct event *event, const ProtobufCMessageDescriptor *descriptor,
    ProtobufCMessage **ret_message, struct error *e);

/* The same in the arena's memory, without malloc: the message lives until arena_clear() and is not freed by itself. */
EB_API MUST_CHECK bool event_decode_in(struct arena *arena, const struct event *event,
    const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **ret_message, struct error *e);

/* RFC 3339 with microseconds, UTC. */
enum { EVENT_TIME_MAX = 32 };
EB_API void event_time_format(int64_t time_us, char ret_text[EVENT_TIME_MAX]);
EB_API MUST_CHECK bool event_time_parse(const char *text, int64_t *ret_time_us);
