/* consumer_discover.c -- a plain consumer's partitions: all of its topics, found by asking and asked for again.
 *
 * It belongs to no group, so nobody tells it of its partitions. A topic that is not there is waited for, however long;
 * one that goes away keeps its partitions, and Kafka's errors tell of it. */
#include "consumer_private.h"

#include <assert.h>

enum {
    ASK_MS = 2000,            /* for each topic; consumer_stop() may have to wait so long while brokers are away */
    LOOK_AGAIN_US = 10000000, /* when all topics are there: for partitions that are added */
    LOOK_SOON_US = 1000000,   /* when some are missing */
};

static bool is_missing(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
}

/* Adds what is new of the topic to list. *ret_missing: there is no such topic. */
static bool ask_topic(struct consumer *consumer, const char *topic_name, rd_kafka_topic_partition_list_t *list,
    bool *ret_missing, struct error *e)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(consumer->rk, topic_name, NULL);
    rd_kafka_resp_err_t code = rd_kafka_metadata(consumer->rk, 0, topic, &metadata, ASK_MS);
    rd_kafka_topic_destroy(topic);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt > 0)
        code = metadata->topics[0].err;
    for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < metadata->topics[0].partition_cnt; i++) {
        int32_t number = metadata->topics[0].partitions[i].id;
        if (!position_find(consumer, topic_name, number))
            rd_kafka_topic_partition_list_add(list, topic_name, number);
    }
    if (metadata)
        rd_kafka_metadata_destroy(metadata);
    *ret_missing = is_missing(code);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || *ret_missing)
        return true;
    kafka_error(code, topic_name, e);
    e->kind = error_is(e, ERROR_DENIED) || error_is(e, ERROR_FATAL) ? ERROR_FATAL : ERROR_TRANSIENT;
    return false;
}

/* Told when it changes, not each time it is seen. */
static void note_missing(struct consumer *consumer, uint32_t count, const char *topic_name)
{
    bool changed = !consumer->discovered || atomic_load(&consumer->missing_topics) != count;
    atomic_store(&consumer->missing_topics, count);
    if (!changed || count == 0)
        return;
    struct error e = { 0 };
    error_set(&e, ERROR_TRANSIENT, "%s is not there yet (topics missing: %u)", topic_name, count);
    consumer_tell_error(consumer, &e);
}

static bool look(struct consumer *consumer, rd_kafka_topic_partition_list_t *list, struct error *e)
{
    const char *last_missing = "";
    uint32_t missing_count = 0;
    for (size_t i = 0; i < consumer->topic_count; i++) {
        bool missing;
        if (!ask_topic(consumer, consumer->topic_names[i], list, &missing, e))
            return false;
        if (missing)
            last_missing = consumer->topic_names[i];
        missing_count += missing;
    }
    note_missing(consumer, missing_count, last_missing);
    if (list->cnt > (int)atomic_load(&consumer->assigned)) {
        consumer_say(consumer, "%d partitions", list->cnt);
        position_assign(consumer, list);
        consumer->state = POSITIONING;
    }
    consumer->discovered = true;
    return true;
}

bool discover_partitions(struct consumer *consumer, struct error *e)
{
    assert(consumer->batch.count == 0);
    if (monotonic_us() < consumer->discover_us)
        return true;
    rd_kafka_topic_partition_list_t *list = position_list(consumer); /* those known stay */
    bool looked = look(consumer, list, e);
    rd_kafka_topic_partition_list_destroy(list);
    bool soon = !consumer->discovered || atomic_load(&consumer->missing_topics) > 0;
    consumer->discover_us = monotonic_us() + (soon ? LOOK_SOON_US : LOOK_AGAIN_US);
    return looked;
}
