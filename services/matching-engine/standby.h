/* standby.h -- how a process follows partitions that others own: a consumer of its own, outside the group, and what the
 * group has committed, asked for again and again. Threads: see each function. */
#pragma once

#include <event_bus/kafka.h>

struct standby;

/* bare names. Starts the thread that asks. Errors: INVALID (a setting), TRANSIENT (no thread). */
MUST_CHECK bool standby_open(const struct kafka_options *kafka, const char *topic, const char *group,
    struct standby **ret_standby, struct error *e);
void standby_free(struct standby *standby); /* NULL is fine */
DEFINE_CLEANUP(struct standby *, standby_free)

/* How many partitions the topic has. Errors: TRANSIENT (Kafka away), INVALID (no such topic, too many). */
MUST_CHECK bool standby_partitions(struct standby *standby, int32_t *ret_count, struct error *e);

/* The partition's messages; the caller's (rd_kafka_queue_destroy). Before standby_follow(). */
rd_kafka_queue_t *standby_queue(struct standby *standby, int32_t partition);

/* Messages from that offset on come to the queue, until standby_leave(). Any thread. Errors: those of Kafka. */
MUST_CHECK bool standby_follow(struct standby *standby, int32_t partition, int64_t offset, struct error *e);
void standby_leave(struct standby *standby, int32_t partition);

/* The group's committed offset as last seen: 0 if there is none, -1: not known yet. Any thread. */
int64_t standby_committed(const struct standby *standby, int32_t partition);
