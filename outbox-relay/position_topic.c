#include "position_topic.h"

#include <stdio.h>

static const char position_topic_name[] = "outbox.positions.v1";

enum {
    METADATA_TIMEOUT_MS = 5000,
    FIRST_LOOK_BACK = 1000, /* records; ten times more at each further look, until the beginning */
    POLL_MS = 100,
    GROUP_MAX = 160,
};

static void kafka_destroy(rd_kafka_t *handle)
{
    rd_kafka_destroy(handle);
}
DEFINE_CLEANUP(rd_kafka_t *, kafka_destroy)

static void partitions_free(rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_topic_partition_list_destroy(list);
}
DEFINE_CLEANUP(rd_kafka_topic_partition_list_t *, partitions_free)

static void message_free(rd_kafka_message_t *message)
{
    rd_kafka_message_destroy(message);
}
DEFINE_CLEANUP(rd_kafka_message_t *, message_free)

bool position_topic_open(struct position_topic *topic, rd_kafka_t *producer, const struct kafka_options *kafka,
    const char *source, struct error *e)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code;
    int32_t partitions = 0;

    topic->producer = producer;
    topic->kafka = kafka;
    topic->source = source;
    if (!kafka_topic_name(kafka, position_topic_name, topic->name, e))
        return false;
    topic->handle = rd_kafka_topic_new(producer, topic->name, NULL);
    if (!topic->handle)
        return kafka_error(rd_kafka_last_error(), topic->name, e);

    code = rd_kafka_metadata(producer, 0, topic->handle, &metadata, METADATA_TIMEOUT_MS);
    if (code)
        return kafka_error(code, "metadata of the position topic", e);
    if (metadata->topic_cnt == 1) {
        code = metadata->topics[0].err;
        partitions = metadata->topics[0].partition_cnt;
    }
    rd_kafka_metadata_destroy(metadata);
    if (code || partitions == 0)
        return error_set(e, ERROR_FATAL, "topic %.100s cannot be used: %s", topic->name,
            code ? rd_kafka_err2str(code) : "it has no partitions");
    topic->partition = rd_kafka_msg_partitioner_murmur2(topic->handle, source, strlen(source), partitions, NULL, NULL);
    return true;
}

void position_topic_release(struct position_topic *topic)
{
    if (topic->handle)
        rd_kafka_topic_destroy(topic->handle);
    topic->handle = NULL;
}

rd_kafka_resp_err_t position_topic_store(struct position_topic *topic, const struct position *position)
{
    CLEANUP(xfree) char *data = NULL;
    void *encoded;
    size_t len;

    position_encode(position, topic->source, now_us(), &encoded, &len);
    data = encoded;
    if (rd_kafka_produce(topic->handle, topic->partition, RD_KAFKA_MSG_F_COPY, data, len, topic->source,
            strlen(topic->source), NULL) != 0)
        return rd_kafka_last_error();
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* ---- Reading it back ---- */

static bool reader_open(
    const struct position_topic *topic, const char *isolation, rd_kafka_t **ret_reader, struct error *e)
{
    char group[KAFKA_TOPIC_MAX], name[GROUP_MAX], why[256];
    const char *const settings[][2] = { { "group.id", group }, { "isolation.level", isolation },
        { "enable.partition.eof", "true" }, { "enable.auto.commit", "false" }, { "auto.offset.reset", "error" },
        { "fetch.wait.max.ms", "20" }, { "queued.max.messages.kbytes", "4096" } };
    rd_kafka_conf_t *conf;

    snprintf(name, sizeof name, "outbox-relay-%s", topic->source);
    if (!kafka_topic_name(topic->kafka, name, group, e) || !kafka_conf(topic->kafka, &conf, e))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        if (!kafka_conf_set(conf, settings[i][0], settings[i][1], e)) {
            rd_kafka_conf_destroy(conf);
            return false;
        }
    }
    *ret_reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (*ret_reader)
        return true;
    rd_kafka_conf_destroy(conf);
    return error_set(e, ERROR_FATAL, "cannot make a consumer: %.150s", why);
}

/* Asked without regard to transactions: a read_committed end would stop at another source's open transaction, and a
 * newer position of ours may lie behind it. */
static bool topic_bounds(
    const struct position_topic *topic, uint32_t timeout_ms, int64_t *ret_begin, int64_t *ret_end, struct error *e)
{
    CLEANUP(kafka_destroy) rd_kafka_t *reader = NULL;
    int64_t deadline_us = monotonic_us() + (int64_t)timeout_ms * 1000;
    rd_kafka_resp_err_t code;

    if (!reader_open(topic, "read_uncommitted", &reader, e))
        return false;
    do { /* just after the topic was created, or while its leader moves, the answer is "not leader" */
        code = rd_kafka_query_watermark_offsets(
            reader, topic->name, topic->partition, ret_begin, ret_end, (int)timeout_ms);
        if (code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION)
            rd_kafka_poll(reader, POLL_MS);
    } while (code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION && monotonic_us() < deadline_us);
    return code ? kafka_error(code, "end of the position topic", e) : true;
}

static bool reader_seek(rd_kafka_t *reader, const struct position_topic *topic, int64_t offset, struct error *e)
{
    CLEANUP(partitions_free) rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_resp_err_t code;

    rd_kafka_topic_partition_list_add(list, topic->name, topic->partition)->offset = offset;
    code = rd_kafka_assign(reader, list);
    return code ? kafka_error(code, "assign the position topic", e) : true;
}

static bool take_record(const struct position_topic *topic, const rd_kafka_message_t *message, bool *ret_found,
    struct position *position, struct error *e)
{
    struct position read;

    if (message->key_len != strlen(topic->source) || memcmp(message->key, topic->source, message->key_len) != 0)
        return true;
    if (!message->payload) { /* a tombstone: the source was forgotten */
        *ret_found = false;
        return true;
    }
    if (!position_decode((struct bytes){ message->payload, message->len }, topic->source, &read, e)) {
        e->kind = ERROR_FATAL;
        return false;
    }
    position_release(position);
    *position = read;
    *ret_found = true;
    return true;
}

static bool read_range(rd_kafka_t *reader, const struct position_topic *topic, int64_t begin, int64_t end,
    int64_t deadline_us, bool *ret_found, struct position *position, struct error *e)
{
    if (!reader_seek(reader, topic, begin, e))
        return false;
    while (monotonic_us() < deadline_us) {
        CLEANUP(message_free) rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, POLL_MS);

        if (!message)
            continue;
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            if (message->offset >= end)
                return true;
        } else if (message->err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED) {
            continue; /* librdkafka looks for the group's coordinator; nothing here is of a group, and none is allowed
                       */
        } else if (message->err) {
            return kafka_error(message->err, "read the position topic", e);
        } else if (!take_record(topic, message, ret_found, position, e)) {
            return false;
        }
    }
    return error_set(e, ERROR_TRANSIENT,
        "the end of the position topic is not readable yet: another source's transaction is open, or the broker is "
        "slow");
}

bool position_topic_load(
    struct position_topic *topic, uint32_t timeout_ms, bool *ret_found, struct position *ret_position, struct error *e)
{
    CLEANUP(kafka_destroy) rd_kafka_t *reader = NULL;
    int64_t deadline_us = monotonic_us() + (int64_t)timeout_ms * 1000;
    struct position position = { 0 };
    int64_t begin, end, look_back = FIRST_LOOK_BACK;
    bool found = false, whole;

    if (!topic_bounds(topic, timeout_ms, &begin, &end, e) || !reader_open(topic, "read_committed", &reader, e))
        return false;
    do {
        int64_t from = end - look_back > begin ? end - look_back : begin;

        whole = from == begin;
        if (end > begin && !read_range(reader, topic, from, end, deadline_us, &found, &position, e)) {
            position_release(&position);
            return false;
        }
        look_back *= 10;
    } while (!found && !whole);

    *ret_found = found;
    if (found)
        *ret_position = position;
    return true;
}
