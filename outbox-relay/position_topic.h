/* position_topic.h -- the compacted topic that holds each source's position. The publisher's; one thread. */
#pragma once

#include "position.h"

#include <event_bus/kafka.h>

struct position_topic {
    rd_kafka_t *producer; /* borrowed */
    rd_kafka_topic_t *handle;
    const struct kafka_options *kafka;
    const char *source;
    char name[KAFKA_TOPIC_MAX];
    int32_t partition; /* where this source's key goes */
};

/* Errors: TRANSIENT, FATAL (the topic is missing). After an error position_topic_release() is fine. */
MUST_CHECK bool position_topic_open(struct position_topic *topic, rd_kafka_t *producer,
    const struct kafka_options *kafka, const char *source, struct error *e);
void position_topic_release(struct position_topic *topic);

/* Queues the record in the producer's open transaction. */
rd_kafka_resp_err_t position_topic_store(struct position_topic *topic, const struct position *position);

/* Reads the source's last committed record. Call it only after init_transactions: then no older transaction of this
 * source can still become visible. */
MUST_CHECK bool position_topic_load(
    struct position_topic *topic, uint32_t timeout_ms, bool *ret_found, struct position *ret_position, struct error *e);
