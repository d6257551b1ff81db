/* reader.h -- reads topics from a given place to a given end, committed records only, without a consumer group: leaves
 * no trace on the broker. One thread. */
#pragma once

#include "cli.h"

#include <event_bus/event.h>

struct reader;

enum reader_from { READER_BEGINNING, READER_END, READER_OFFSET, READER_TIME };

struct reader_start {
    enum reader_from from;
    int64_t value; /* OFFSET: the offset in each partition; TIME: microseconds since 1970 */
};

/* topics: bare names, NULL-terminated. until_end: reader_next() ends where the topics ended when it was opened … or
 * later. Errors: TRANSIENT (no broker), NOT_FOUND (a topic that is not there). */
MUST_CHECK bool reader_open(const struct kafka_options *kafka, const char *const *topics, struct reader_start start,
    bool until_end, struct reader **ret_reader, struct error *e);
void reader_free(struct reader *reader);
DEFINE_CLEANUP(struct reader *, reader_free)

enum reader_result { READER_EVENT, READER_IDLE, READER_DONE, READER_FAILED };

/* The next event, valid until the next call; IDLE after timeout_ms without one; DONE at the end of all partitions
 * (until_end). A message whose headers are not CloudEvents is an EVENT too, with *ret_malformed set to what is wrong
 * (kind NONE otherwise). */
enum reader_result reader_next(
    struct reader *reader, int timeout_ms, struct event *ret_event, struct error *ret_malformed, struct error *e);
const rd_kafka_message_t *reader_message(const struct reader *reader); /* behind the last event */

/* The value as JSON by ce_type, or {"undecodable": reason, "bytes": n}. The caller's. */
json_t *event_value_json(const struct event *event);
