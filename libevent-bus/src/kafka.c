#include <event_bus/kafka.h>
#include <event_bus/repeats.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

enum { CONF_ERROR_MAX = 128, LOG_LINE_MAX = 1024 };

/* What is not here is TRANSIENT: the broker is away, moving, or busy. */
static const struct {
    rd_kafka_resp_err_t code;
    enum error_kind kind;
} error_kinds[] = {
    { RD_KAFKA_RESP_ERR__FATAL, ERROR_FATAL },
    { RD_KAFKA_RESP_ERR__FENCED, ERROR_FATAL },
    { RD_KAFKA_RESP_ERR_PRODUCER_FENCED, ERROR_FATAL },
    { RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, ERROR_FATAL },
    { RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, ERROR_FATAL },
    { RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, ERROR_FATAL },
    { RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, ERROR_FATAL },
    { RD_KAFKA_RESP_ERR__AUTHENTICATION, ERROR_FATAL },
    { RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, ERROR_FATAL },
    { RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, ERROR_FATAL },
    { RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, ERROR_FATAL },
    { RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, ERROR_FATAL },
    { RD_KAFKA_RESP_ERR__STATE, ERROR_FATAL },
    { RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ERROR_DENIED },
    { RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, ERROR_DENIED },
    { RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, ERROR_DENIED },
    { RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, ERROR_DENIED },
    { RD_KAFKA_RESP_ERR__INVALID_ARG, ERROR_INVALID },
    { RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, ERROR_INVALID },
    { RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, ERROR_INVALID },
    { RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, ERROR_INVALID },
    { RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, ERROR_INVALID },
    { RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, ERROR_INVALID },
    { RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, ERROR_INVALID },
    { RD_KAFKA_RESP_ERR_INVALID_RECORD, ERROR_INVALID },
};

static enum error_kind kind_of(rd_kafka_resp_err_t code)
{
    for (size_t i = 0; i < ARRAY_LEN(error_kinds); i++) {
        if (error_kinds[i].code == code)
            return error_kinds[i].kind;
    }
    return ERROR_TRANSIENT;
}

bool kafka_error(rd_kafka_resp_err_t code, const char *what, struct error *e)
{
    error_set(e, kind_of(code), "%s: %s", what, rd_kafka_err2str(code));
    e->code = (int)code;
    return false;
}

bool kafka_error_take(rd_kafka_error_t *error, const char *what, struct error *e)
{
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    enum error_kind kind = kind_of(code);

    if (rd_kafka_error_is_fatal(error))
        kind = ERROR_FATAL;
    else if (rd_kafka_error_is_retriable(error) || rd_kafka_error_txn_requires_abort(error))
        kind = ERROR_TRANSIENT;
    error_set(e, kind, "%s: %s", what, rd_kafka_error_string(error));
    e->code = (int)code;
    rd_kafka_error_destroy(error);
    return false;
}

/* ---- What librdkafka says ---- */

static kafka_log_sink *log_sink; /* NULL: stderr */
static struct repeats log_repeats = REPEATS_INIT;

void kafka_log_to(kafka_log_sink *sink)
{
    log_sink = sink;
}

/* One configuration serves producers and consumers, so librdkafka's remark that the other kind's bounds are ignored is
 * noise. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    char line[LOG_LINE_MAX];
    uint64_t untold = 0;

    if (level > LOG_WARNING || strcmp(facility, "CONFWARN") == 0)
        return;
    snprintf(line, sizeof line, "%s: %s", facility, text);
    if (!repeats_tell(&log_repeats, line, monotonic_us(), &untold))
        return;
    if (untold > 0)
        snprintf(line, sizeof line, "%.*s (and %" PRIu64 " more like it)", LOG_LINE_MAX - 64, text, untold);
    if (log_sink)
        log_sink(level, rk ? rd_kafka_name(rk) : "", facility, untold > 0 ? line : text);
    else
        rd_kafka_log_print(rk, level, facility, untold > 0 ? line : text);
}

bool kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *e)
{
    char why[CONF_ERROR_MAX];

    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) == RD_KAFKA_CONF_OK)
        return true;
    return error_field(e, ERROR_INVALID, "", name, "Kafka setting %s: %s", name, why);
}

static bool set_all(rd_kafka_conf_t *conf, const struct kafka_options *options, struct error *e)
{
    const struct {
        const char *name, *value;
    } settings[] = {
        { "bootstrap.servers", options->brokers },
        { "client.id", options->client_id },
        { "security.protocol", options->security_protocol },
        { "sasl.mechanism", options->sasl_mechanism },
        { "sasl.username", options->sasl_username },
        { "sasl.password", options->sasl_password },
        { "ssl.ca.location", options->ssl_ca_location },
        { "queue.buffering.max.messages", "100000" },
        { "queue.buffering.max.kbytes", "32768" },
        /* What a consumer has in hand is bounded by bytes alone: at either bound librdkafka 2.0 pauses for a whole
         * second, so that 20,000 messages would be 20,000 a second. */
        { "queued.min.messages", "1000000" },
        { "queued.max.messages.kbytes", "16384" },
        { "reconnect.backoff.max.ms", "2000" },
        { "socket.keepalive.enable", "true" },
    };

    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        if (settings[i].value && !kafka_conf_set(conf, settings[i].name, settings[i].value, e))
            return false;
    }
    return true;
}

bool kafka_conf(const struct kafka_options *options, rd_kafka_conf_t **ret_conf, struct error *e)
{
    if (!options->brokers || options->brokers[0] == '\0')
        return error_field(e, ERROR_INVALID, "", "bootstrap.servers", "no Kafka brokers are given");

    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    rd_kafka_conf_set_log_cb(conf, on_log);
    if (!set_all(conf, options, e)) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    *ret_conf = conf;
    return true;
}

bool kafka_topic_name(
    const struct kafka_options *options, const char *bare, char ret_name[KAFKA_TOPIC_MAX], struct error *e)
{
    const char *prefix = options->topic_prefix ? options->topic_prefix : "";
    int len = snprintf(ret_name, KAFKA_TOPIC_MAX, "%s%s", prefix, bare);

    if (bare[0] == '\0')
        return error_set(e, ERROR_INVALID, "a topic or group has no name");
    if (len < 0 || len >= KAFKA_TOPIC_MAX)
        return error_set(e, ERROR_INVALID, "name is longer than %d bytes: %s%.80s", KAFKA_TOPIC_MAX - 1, prefix, bare);
    return true;
}

/* ---- Transactions ---- */

enum kafka_reaction kafka_react(rd_kafka_error_t *error, const char *what, struct error *e)
{
    if (!error)
        return KAFKA_DONE;
    enum kafka_reaction reaction = rd_kafka_error_is_fatal(error)             ? KAFKA_GIVE_UP
                                   : rd_kafka_error_txn_requires_abort(error) ? KAFKA_ABORT
                                   : rd_kafka_error_is_retriable(error)       ? KAFKA_AGAIN
                                                                              : KAFKA_GIVE_UP;
    kafka_error_take(error, what, e);
    if (reaction == KAFKA_GIVE_UP)
        e->kind = ERROR_FATAL;
    return reaction;
}

/* Must be there: without one librdkafka waits for a timer before it sees that all is delivered. */
static void ignore_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk, (void)message, (void)opaque;
}

static bool set_transactional(rd_kafka_conf_t *conf, const char *id, const char *const *settings, struct error *e)
{
    if (!kafka_conf_set(conf, "transactional.id", id, e) ||
        !kafka_conf_set(conf, "transaction.timeout.ms", "60000", e) ||
        !kafka_conf_set(conf, "partitioner", "murmur2_random", e))
        return false;
    for (; settings && settings[0]; settings += 2)
        if (!kafka_conf_set(conf, settings[0], settings[1], e))
            return false;
    return true;
}

bool kafka_transactional_producer(const struct kafka_options *options, const char *transactional_id,
    const char *const *settings, rd_kafka_t **ret_producer, struct error *e)
{
    char id[KAFKA_TOPIC_MAX], why[sizeof e->message];
    rd_kafka_conf_t *conf;

    if (!kafka_topic_name(options, transactional_id, id, e) || !kafka_conf(options, &conf, e))
        return false;
    if (!set_transactional(conf, id, settings, e)) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    rd_kafka_conf_set_dr_msg_cb(conf, ignore_delivery);
    *ret_producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (*ret_producer)
        return true;
    rd_kafka_conf_destroy(conf);
    return error_set(e, ERROR_INVALID, "Kafka producer: %s", why);
}
