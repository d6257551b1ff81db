#include <event_bus/producer.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    QUEUE_FULL_WAIT_US = 30 * 1000 * 1000,
    QUEUE_FULL_POLL_MS = 50,
    UUID_MAX = 37,
};

struct producer {
    struct kafka_options options; /* its strings: the caller's, used by producer_send() for the prefix only */
    char *prefix;
    char *source;
    rd_kafka_t *rk;
    pthread_mutex_t lock;
    struct error failure; /* under lock: the first failed delivery since the last flush */
};

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct producer *producer = opaque;

    (void)rk;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    pthread_mutex_lock(&producer->lock);
    if (error_is(&producer->failure, ERROR_NONE))
        kafka_error(message->err, rd_kafka_topic_name(message->rkt), &producer->failure);
    pthread_mutex_unlock(&producer->lock);
}

static bool configure(rd_kafka_conf_t *conf, struct error *e)
{
    static const struct {
        const char *name, *value;
    } settings[] = {
        { "enable.idempotence", "true" }, /* implies acks=all and keeps the order across retries */
        { "partitioner", "murmur2_random" },
        { "linger.ms", "1" },
        { "message.timeout.ms", "30000" },
    };

    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        if (!kafka_conf_set(conf, settings[i].name, settings[i].value, e))
            return false;
    }
    return true;
}

/* Hands conf over to the new handle, or destroys it. */
static bool start(struct producer *producer, rd_kafka_conf_t *conf, struct error *e)
{
    char why[sizeof e->message];

    rd_kafka_conf_set_opaque(conf, producer);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    if (!configure(conf, e)) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    producer->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!producer->rk) {
        rd_kafka_conf_destroy(conf);
        return error_set(e, ERROR_INVALID, "Kafka producer: %s", why);
    }
    return true;
}

bool producer_open(
    const struct kafka_options *options, const char *source, struct producer **ret_producer, struct error *e)
{
    rd_kafka_conf_t *conf;

    if (!kafka_conf(options, &conf, e))
        return false;

    CLEANUP(producer_free) struct producer *producer = xcalloc(1, sizeof *producer);

    pthread_mutex_init(&producer->lock, NULL);
    producer->prefix = xstrdup(options->topic_prefix ? options->topic_prefix : "");
    producer->options.topic_prefix = producer->prefix;
    producer->source = xstrdup(source);
    if (!start(producer, conf, e))
        return false;
    *ret_producer = TAKE(producer);
    return true;
}

void producer_free(struct producer *producer)
{
    if (!producer)
        return;
    if (producer->rk) {
        rd_kafka_purge(producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_poll(producer->rk, 0);
        rd_kafka_destroy(producer->rk);
    }
    pthread_mutex_destroy(&producer->lock);
    xfree(producer->prefix);
    xfree(producer->source);
    xfree(producer);
}

/* A random UUID (RFC 9562, version 4). */
static void make_uuid(char ret_uuid[UUID_MAX])
{
    uint8_t b[16];

    arc4random_buf(b, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    snprintf(ret_uuid, UUID_MAX, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
        b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

/* Takes the headers in any case. */
static bool produce(struct producer *producer, const char *topic, const struct event *event,
    rd_kafka_headers_t *headers, struct error *e)
{
    int64_t give_up_us = monotonic_us() + QUEUE_FULL_WAIT_US;
    rd_kafka_resp_err_t code;

    for (;;) {
        code = rd_kafka_producev(producer->rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY(event->key.data, event->key.len),
            RD_KAFKA_V_VALUE((void *)event->value.data, event->value.len), RD_KAFKA_V_HEADERS(headers),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL || monotonic_us() > give_up_us)
            break;
        rd_kafka_poll(producer->rk, QUEUE_FULL_POLL_MS);
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_headers_destroy(headers);
        return kafka_error(code, topic, e);
    }
    rd_kafka_poll(producer->rk, 0);
    return true;
}

bool producer_send(struct producer *producer, const char *topic, const char *key, const char *id,
    const ProtobufCMessage *message, const char *traceparent, struct error *e)
{
    char full_topic[KAFKA_TOPIC_MAX], uuid[UUID_MAX];
    struct trace trace;
    rd_kafka_headers_t *headers;

    if (!traceparent)
        trace_new(&trace);
    if (!id)
        make_uuid(uuid);

    size_t len = protobuf_c_message_get_packed_size(message);
    CLEANUP(xfree) char *value = xmalloc(len + 1);
    struct event event = {
        .key = { key, key ? strlen(key) : 0 },
        .id = id ? id : uuid,
        .source = producer->source,
        .type = message->descriptor->name,
        .subject = key,
        .traceparent = traceparent ? traceparent : trace.parent,
        .time_us = now_us(),
        .value = { value, protobuf_c_message_pack(message, (uint8_t *)value) },
    };

    return kafka_topic_name(&producer->options, topic, full_topic, e) && event_headers(&event, &headers, e) &&
           produce(producer, full_topic, &event, headers, e);
}

bool producer_flush(struct producer *producer, uint32_t timeout_ms, struct error *e)
{
    rd_kafka_resp_err_t code = rd_kafka_flush(producer->rk, (int)timeout_ms);

    pthread_mutex_lock(&producer->lock);

    struct error failure = producer->failure;

    error_clear(&producer->failure);
    pthread_mutex_unlock(&producer->lock);
    if (!error_is(&failure, ERROR_NONE)) {
        *e = failure;
        return false;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_error(code, "flush", e);
    return true;
}
