/* publisher.h -- the transactional producer of one input partition: a batch of outputs and the input offset, or
 * nothing. One thread. */
#pragma once

#include "outputs.h"

#include <event_bus/kafka.h>

#include <stdatomic.h>

struct publisher;

/* Fences whoever held this partition before: what that one had not committed is aborted when this returns, and
 * committed offsets read afterwards are final. transactional.id = <prefix>engine-<topic>-<partition>. Errors: INVALID
 * (a setting), FATAL, TRANSIENT (no broker within a minute, or `stop` was set). */
MUST_CHECK bool publisher_open(const struct kafka_options *options, const char *bare_topic, int32_t partition,
    const atomic_bool *stop, struct publisher **ret_publisher, struct error *e);
void publisher_free(struct publisher *publisher); /* NULL is fine */
DEFINE_CLEANUP(struct publisher *, publisher_free)

struct publisher_times {
    int64_t produce_us; /* until all was handed over */
    int64_t commit_us;  /* from there to committed */
};

/* Commits the outputs and next_offset of the input partition in one transaction, on behalf of the group member
 * `consumer`. An abortable failure is repeated with the same bytes, with back-off, until it succeeds or `stop` is set.
 * Errors: FATAL (fenced, or nothing that repeating helps); TRANSIENT: stopped, and it is not known whether the batch
 * was committed: the caller's state may be ahead of the log, and must be dropped. */
MUST_CHECK bool publisher_commit(struct publisher *publisher, rd_kafka_t *consumer, const struct outputs *outputs,
    int64_t next_offset, const atomic_bool *stop, struct publisher_times *ret_times, struct error *e);
