/* reader.c -- see reader.h. */
#include "reader.h"

#include <event_bus/proto_json.h>
#include <registry.h>

#include <string.h>

enum { METADATA_TIMEOUT_MS = 10000 };

struct reader {
    rd_kafka_t *consumer;
    const char *const *topics;
    const struct kafka_options *kafka;
    rd_kafka_message_t *message;
    size_t partitions, ended;
    bool until_end;
};

static bool add_partitions(struct reader *reader, const char *bare, struct reader_start start,
    rd_kafka_topic_partition_list_t *list, struct error *e)
{
    char name[KAFKA_TOPIC_MAX];
    if (!kafka_topic_name(reader->kafka, bare, name, e))
        return false;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(reader->consumer, name, NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(reader->consumer, 0, topic, &metadata, METADATA_TIMEOUT_MS);
    rd_kafka_topic_destroy(topic);
    if (code)
        return kafka_error(code, "metadata", e);
    bool found = metadata->topic_cnt == 1 && metadata->topics[0].err == 0 && metadata->topics[0].partition_cnt > 0;
    for (int i = 0; found && i < metadata->topics[0].partition_cnt; i++) {
        rd_kafka_topic_partition_t *p =
            rd_kafka_topic_partition_list_add(list, name, metadata->topics[0].partitions[i].id);
        p->offset = start.from == READER_BEGINNING ? RD_KAFKA_OFFSET_BEGINNING
                    : start.from == READER_END     ? RD_KAFKA_OFFSET_END
                    : start.from == READER_OFFSET  ? start.value
                                                   : start.value / 1000;
    }
    rd_kafka_metadata_destroy(metadata);
    return found || error_field(e, ERROR_NOT_FOUND, "", "topic", "there is no topic %s", name);
}

static bool assign(struct reader *reader, struct reader_start start, struct error *e)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    bool ok = true;
    for (size_t i = 0; ok && reader->topics[i]; i++)
        ok = add_partitions(reader, reader->topics[i], start, list, e);
    if (ok && start.from == READER_TIME) {
        rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(reader->consumer, list, METADATA_TIMEOUT_MS);
        ok = code == 0 || kafka_error(code, "offsets for time", e);
    }
    if (ok) {
        rd_kafka_resp_err_t code = rd_kafka_assign(reader->consumer, list);
        ok = code == 0 || kafka_error(code, "assign", e);
    }
    reader->partitions = (size_t)list->cnt;
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

bool reader_open(const struct kafka_options *kafka, const char *const *topics, struct reader_start start,
    bool until_end, struct reader **ret_reader, struct error *e)
{
    CLEANUP(reader_free) struct reader *reader = xcalloc(1, sizeof *reader);
    *reader = (struct reader){ .topics = topics, .kafka = kafka, .until_end = until_end };
    rd_kafka_conf_t *conf;
    char why[256];
    if (!kafka_conf(kafka, &conf, e))
        return false;
    const struct {
        const char *name, *value;
    } settings[] = {
        { "group.id", "penstock-reader" }, { "enable.auto.commit", "false" }, { "isolation.level", "read_committed" },
        { "auto.offset.reset", "earliest" }, { "enable.partition.eof", "true" },
        /* What is queued is bounded by its bytes: at either bound librdkafka pauses for a whole second. */
        { "queued.min.messages", "1000000" }, { "queued.max.messages.kbytes", "65536" },
        { "fetch.wait.max.ms", "20" }, /* how late an end of a partition is noticed */
    };
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        if (!kafka_conf_set(conf, settings[i].name, settings[i].value, e)) {
            rd_kafka_conf_destroy(conf);
            return false;
        }
    reader->consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (!reader->consumer) {
        rd_kafka_conf_destroy(conf);
        return error_set(e, ERROR_INVALID, "%s", why);
    }
    rd_kafka_poll_set_consumer(reader->consumer);
    if (!assign(reader, start, e))
        return false;
    *ret_reader = TAKE(reader);
    return true;
}

void reader_free(struct reader *reader)
{
    if (!reader)
        return;
    if (reader->message)
        rd_kafka_message_destroy(reader->message);
    if (reader->consumer)
        rd_kafka_destroy(reader->consumer);
    xfree(reader);
}

static const char *bare_name(const struct reader *reader, const char *full)
{
    size_t prefix = reader->kafka->topic_prefix ? strlen(reader->kafka->topic_prefix) : 0;
    return strlen(full) > prefix ? full + prefix : full;
}

enum reader_result reader_next(
    struct reader *reader, int timeout_ms, struct event *ret_event, struct error *ret_malformed, struct error *e)
{
    for (;;) {
        if (reader->message)
            rd_kafka_message_destroy(reader->message);
        reader->message = rd_kafka_consumer_poll(reader->consumer, timeout_ms);
        rd_kafka_message_t *m = reader->message;
        if (!m)
            return READER_IDLE;
        if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            if (reader->until_end && ++reader->ended >= reader->partitions)
                return READER_DONE;
            continue;
        }
        if (m->err) {
            kafka_error(m->err, "consume", e);
            if (e->kind == ERROR_TRANSIENT)
                continue;
            return READER_FAILED;
        }
        error_clear(ret_malformed);
        if (!event_parse(m, bare_name(reader, rd_kafka_topic_name(m->rkt)), ret_event, ret_malformed) &&
            ret_malformed->kind == ERROR_NONE)
            error_set(ret_malformed, ERROR_INVALID, "not a CloudEvent");
        return READER_EVENT;
    }
}

const rd_kafka_message_t *reader_message(const struct reader *reader)
{
    return reader->message;
}

json_t *event_value_json(const struct event *event)
{
    struct error e = { 0 };
    const ProtobufCMessageDescriptor *descriptor = event->type ? proto_find(proto_registry, event->type) : NULL;
    ProtobufCMessage *message = NULL;
    if (!descriptor)
        return json_pack("{s:s, s:I}", "undecodable", "type is not known here", "bytes", (json_int_t)event->value.len);
    if (!event_decode(event, descriptor, &message, &e))
        return json_pack("{s:s, s:I}", "undecodable", e.message, "bytes", (json_int_t)event->value.len);
    json_t *json = proto_to_json(message);
    protobuf_c_message_free_unpacked(message, NULL);
    return json;
}
