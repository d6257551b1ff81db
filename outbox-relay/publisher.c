#include "publisher.h"

#include "position_topic.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum {
    LANES = 2, /* 1 in idempotent mode */
    QUEUE_MESSAGES_MAX = 20000,
    POLL_EVERY_ROWS = 256,
    TOPIC_PROPAGATION_MS = 5000, /* a topic that is not known after this is taken to be missing */
    INIT_TIMEOUT_MS = 10000,
    STEP_TIMEOUT_MS = 1000,    /* of one attempt at flush, commit or abort */
    SETTLE_TIMEOUT_MS = 60000, /* of all attempts at one commit or abort */
    TIME_MAX = 40,
    NAME_MAX_BYTES = 160,
    ID_MAX = 200,
    SEQUENCE_DIGITS = 20, /* with leading zeros: as text they are in order too, as the CloudEvents extension wants it */
};

/* A producer and its transactional.id. While the coordinator writes an id's markers it sends that id's next transaction
 * away, and librdkafka then waits for 20 ms: so transactions take turns between two.
 *
 * Who takes over fences the first id, then the second, and commits its first transaction under the first: only so it
 * knows that nobody came in between, and would have the first id while it has the second. */
struct publisher_lane {
    rd_kafka_t *producer;
    struct position_topic positions;
    rd_kafka_topic_t *topics[PUBLISHER_TOPICS_MAX]; /* by the publisher's topic_names; NULL: not used yet */
    int64_t ended_us;                               /* monotonic: its last transaction; 0: none */
};

struct publisher {
    struct publisher_lane lanes[LANES];
    struct publisher_lane *lane; /* of the open transaction, or of the next one */
    size_t lane_count;
    const struct publisher_options *options;
    const struct kafka_options *kafka;
    const char *source, *content_type;
    char ce_source[NAME_MAX_BYTES];
    char id_format[NAME_MAX_BYTES];
    int64_t pause_us;
    char *topic_names[PUBLISHER_TOPICS_MAX]; /* bare */
    size_t topic_count, topic_last;          /* topic_last: the one used last, tried first */
    size_t rows;                             /* in the open transaction */
    bool idempotent;                         /* without transactions */
    bool open, broken, fenced;
    int64_t opened_us;          /* monotonic */
    rd_kafka_resp_err_t failed; /* the first delivery that failed in this transaction */
    struct publisher_refusal refusal;
    char no_access[256]; /* the settings that Kafka's brokers or their certificates object to, and why; "" */
    uint64_t purged_row; /* the first that came back because the transaction failed; 0: none */
    size_t first_topic;  /* of the transaction's rows */
    bool many_topics;    /* not all are of that topic */
    int64_t time_second; /* what time_text holds: gmtime once a second, not once a row */
    char time_text[TIME_MAX];
};

/* ---- What the broker says of a row ---- */

static const struct {
    rd_kafka_resp_err_t code;
    bool whole_topic;
} refusals[] = {
    { RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, false },
    { RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, false },
    { RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE, false },
    { RD_KAFKA_RESP_ERR_INVALID_RECORD, false },
    { RD_KAFKA_RESP_ERR_POLICY_VIOLATION, false },
    { RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, true },
    { RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, true },
    { RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, true },
    { RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, true },
    { RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, true },
};

static void publisher_note_refusal(
    struct publisher *publisher, uint64_t row_id, rd_kafka_resp_err_t code, const char *topic)
{
    if (publisher->refusal.row_id && publisher->refusal.row_id <= row_id)
        return;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        if (refusals[i].code != code)
            continue;
        publisher->refusal.row_id = row_id;
        publisher->refusal.whole_topic = refusals[i].whole_topic;
        snprintf(publisher->refusal.topic, sizeof publisher->refusal.topic, "%s", topic);
        snprintf(
            publisher->refusal.reason, sizeof publisher->refusal.reason, "%s: topic %s", rd_kafka_err2str(code), topic);
    }
}

static const char *publisher_bare(const struct publisher *publisher, const char *topic)
{
    return topic + (publisher->kafka->topic_prefix ? strlen(publisher->kafka->topic_prefix) : 0);
}

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    struct publisher *publisher = opaque;

    (void)producer;
    if (!message->err)
        return;
    if (!publisher->failed)
        publisher->failed = message->err;
    if (message->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE && message->_private &&
        (publisher->purged_row == 0 || (uint64_t)(uintptr_t)message->_private < publisher->purged_row))
        publisher->purged_row = (uint64_t)(uintptr_t)message->_private;
    if (message->_private)
        publisher_note_refusal(publisher, (uint64_t)(uintptr_t)message->_private, message->err,
            publisher_bare(publisher, rd_kafka_topic_name(message->rkt)));
}

/* Before 2.6.1 librdkafka sent its SCRAM nonce twice, which Kafka 4 takes for a wrong password. */
static bool cannot_scram(const struct kafka_options *kafka)
{
    enum { SCRAM_MENDED = 0x020601ff };

    return kafka->sasl_mechanism && strncmp(kafka->sasl_mechanism, "SCRAM", 5) == 0 &&
           rd_kafka_version() < SCRAM_MENDED;
}

/* What keeps the producer from logging on; init_transactions alone would only say that it took too long. */
static void on_error(rd_kafka_t *producer, int code, const char *reason, void *opaque)
{
    struct publisher *publisher = opaque;
    const char *setting = code == RD_KAFKA_RESP_ERR__AUTHENTICATION ? "KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD"
                          : code == RD_KAFKA_RESP_ERR__SSL          ? "KAFKA_SSL_CA_LOCATION"
                                                                    : NULL;

    (void)producer;
    if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION && cannot_scram(publisher->kafka))
        snprintf(publisher->no_access, sizeof publisher->no_access,
            "KAFKA_SASL_MECHANISM, KAFKA_SASL_PASSWORD: SCRAM with Kafka 4 takes librdkafka 2.6.1, this is %s: %s",
            rd_kafka_version_str(), reason);
    else if (setting)
        snprintf(publisher->no_access, sizeof publisher->no_access, "%s: %s", setting, reason);
}

/* ---- Life ---- */

static bool publisher_conf(const struct publisher_options *options, struct publisher *publisher, size_t lane,
    rd_kafka_conf_t **ret_conf, struct error *e)
{
    char id[KAFKA_TOPIC_MAX], name[NAME_MAX_BYTES], kbytes[24], messages[24], timeout[24], propagation[24];
    rd_kafka_conf_t *conf = NULL;

    /* No source has a '.' in its name, so no two have an id in common. */
    snprintf(name, sizeof name, "outbox-relay-%s%s", options->source, lane == 0 ? "" : ".2");
    snprintf(kbytes, sizeof kbytes, "%" PRId64, options->queue_kbytes_max);
    snprintf(messages, sizeof messages, "%d", QUEUE_MESSAGES_MAX);
    snprintf(timeout, sizeof timeout, "%" PRId64, options->transaction_timeout_ms);
    snprintf(propagation, sizeof propagation, "%d", TOPIC_PROPAGATION_MS);
    const bool idempotent = publisher->idempotent;
    const char *const settings[][2] = { { idempotent ? "enable.idempotence" : "transactional.id",
                                            idempotent ? "true" : id },
        { idempotent ? "enable.gapless.guarantee" : "transaction.timeout.ms", idempotent ? "false" : timeout },
        { "message.timeout.ms", timeout }, { "partitioner", "murmur2_random" },
        /* A page is sent whole, by the flush. Rows that were added while others of their partition are under way make
         * librdkafka spin until the broker has answered, on the core that the broker may need. */
        { "linger.ms", "10" }, { "compression.codec", options->compression }, { "queue.buffering.max.kbytes", kbytes },
        { "queue.buffering.max.messages", messages }, { "message.max.bytes", "16777216" }, { "batch.size", "1000000" },
        { "topic.metadata.propagation.max.ms", propagation }, { "socket.nagle.disable", "true" },
        { "reconnect.backoff.max.ms", "1000" } };

    if (!kafka_topic_name(options->kafka, name, id, e) || !kafka_conf(options->kafka, &conf, e))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        if (!kafka_conf_set(conf, settings[i][0], settings[i][1], e)) {
            rd_kafka_conf_destroy(conf);
            return false;
        }
    }
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_opaque(conf, publisher);
    *ret_conf = conf;
    return true;
}

/* Producers as the mode wants them. */
static bool publisher_connect(struct publisher *publisher, struct error *e)
{
    publisher->lane_count = publisher->idempotent ? 1 : LANES;
    publisher->lane = &publisher->lanes[0];
    for (size_t i = 0; i < publisher->lane_count; i++) {
        rd_kafka_conf_t *conf = NULL;
        char why[256];

        if (!publisher_conf(publisher->options, publisher, i, &conf, e))
            return false;
        publisher->lanes[i].producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
        if (!publisher->lanes[i].producer) {
            rd_kafka_conf_destroy(conf);
            return error_set(e, ERROR_FATAL, "cannot make a producer: %.150s", why);
        }
    }
    return true;
}

static void lane_release(struct publisher_lane *lane)
{
    for (size_t i = 0; i < PUBLISHER_TOPICS_MAX; i++)
        if (lane->topics[i])
            rd_kafka_topic_destroy(lane->topics[i]);
    position_topic_release(&lane->positions);
    if (lane->producer) {
        rd_kafka_purge(lane->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(lane->producer);
    }
    *lane = (struct publisher_lane){ 0 };
}

static void publisher_disconnect(struct publisher *publisher)
{
    for (size_t i = 0; i < LANES; i++)
        lane_release(&publisher->lanes[i]);
}

/* Fences whoever has the lane's id, and ends what was open. */
static bool lane_init(struct publisher *publisher, struct publisher_lane *lane, struct error *e)
{
    rd_kafka_error_t *error = rd_kafka_init_transactions(lane->producer, INIT_TIMEOUT_MS);

    if (error) {
        rd_kafka_poll(lane->producer, 0);
        kafka_error_take(error, "init_transactions", e);
        return *publisher->no_access ? error_set(e, ERROR_FATAL, "%.180s", publisher->no_access) : false;
    }
    return position_topic_open(&lane->positions, lane->producer, publisher->kafka, publisher->source, e);
}

bool publisher_open(const struct publisher_options *options, struct publisher **ret_publisher, struct error *e)
{
    CLEANUP(publisher_free) struct publisher *publisher = xcalloc(1, sizeof *publisher);
    const struct mapping *mapping = options->mapping;

    publisher->options = options;
    publisher->kafka = options->kafka;
    publisher->source = options->source;
    publisher->pause_us = options->pause_us;
    publisher->time_second = -1;
    publisher->content_type = "application/protobuf";
    snprintf(publisher->ce_source, sizeof publisher->ce_source, "%s%s", *mapping->ce_source ? "" : "/penstock/",
        *mapping->ce_source ? mapping->ce_source : options->source);
    snprintf(publisher->id_format, sizeof publisher->id_format, "%s%s",
        *mapping->id_format ? mapping->id_format : options->source, *mapping->id_format ? "" : "-{}");

    if (!publisher_connect(publisher, e))
        return false;
    for (size_t i = 0; i < LANES; i++)
        if (!lane_init(publisher, &publisher->lanes[i], e))
            return false;
    *ret_publisher = TAKE(publisher);
    return true;
}

bool publisher_leave_transactions(struct publisher *publisher, struct error *e)
{
    publisher_disconnect(publisher);
    publisher->idempotent = true;
    return publisher_connect(publisher, e);
}

void publisher_free(struct publisher *publisher)
{
    if (!publisher)
        return;
    publisher_disconnect(publisher);
    for (size_t i = 0; i < publisher->topic_count; i++)
        xfree(publisher->topic_names[i]);
    xfree(publisher);
}

bool publisher_load_position(
    struct publisher *publisher, uint32_t timeout_ms, bool *ret_found, struct position *ret_position, struct error *e)
{
    return position_topic_load(&publisher->lane->positions, timeout_ms, ret_found, ret_position, e);
}

void publisher_set_content_type(struct publisher *publisher, const char *content_type)
{
    publisher->content_type = content_type;
}

/* ---- A transaction ---- */

static bool publisher_begin(struct publisher *publisher, struct error *e)
{
    struct publisher_lane *lane = publisher->lane;
    int64_t wait_us = lane->ended_us + publisher->pause_us - monotonic_us();
    rd_kafka_error_t *error;

    if (publisher->broken)
        return error_set(e, ERROR_FATAL, "the producer is broken");
    if (lane->ended_us > 0 && wait_us > 0 && !publisher->idempotent)
        nanosleep(&(struct timespec){ .tv_nsec = wait_us * 1000 }, NULL);
    error = publisher->idempotent ? NULL : rd_kafka_begin_transaction(lane->producer);
    if (error) {
        publisher->broken = true;
        return kafka_error_take(error, "begin_transaction", e);
    }
    publisher->open = true;
    publisher->rows = 0;
    publisher->failed = RD_KAFKA_RESP_ERR_NO_ERROR;
    publisher->refusal.row_id = 0;
    publisher->purged_row = 0;
    publisher->many_topics = false;
    publisher->opened_us = monotonic_us();
    return true;
}

/* After it nothing of the transaction is ever visible, or the publisher is broken. */
void publisher_abort(struct publisher *publisher)
{
    int64_t deadline_us = monotonic_us() + (int64_t)SETTLE_TIMEOUT_MS * 1000;
    rd_kafka_error_t *error = NULL;
    bool again = publisher->open && !publisher->broken && !publisher->idempotent;

    if (publisher->open &&
        publisher->idempotent) { /* a new producer: what the old one still has is dropped by readers */
        struct error e = { 0 };

        publisher_disconnect(publisher);
        publisher->broken = !publisher_connect(publisher, &e);
    }
    while (again) {
        error = rd_kafka_abort_transaction(publisher->lane->producer, STEP_TIMEOUT_MS);
        again = error && rd_kafka_error_is_retriable(error) && monotonic_us() < deadline_us;
        if (error) {
            publisher->broken = !again;
            rd_kafka_error_destroy(error);
        }
    }
    publisher->open = false;
    publisher->rows = 0;
    publisher->lane->ended_us = monotonic_us();
}

static bool is_fencing(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
           code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

/* A topic that may be looked at but not written is refused when the transaction takes it in: its rows come back as
 * purged, and only the transaction knows why. Which topic it was is certain when there is but one. */
static void publisher_note_cause(struct publisher *publisher, rd_kafka_resp_err_t code)
{
    if (code != RD_KAFKA_RESP_ERR__PURGE_QUEUE || publisher->idempotent || publisher->purged_row == 0)
        return;
    /* Nothing begins: one is open. A transaction that has failed answers with its error. */
    rd_kafka_error_t *error = rd_kafka_begin_transaction(publisher->lane->producer);
    publisher_note_refusal(
        publisher, publisher->purged_row, rd_kafka_error_code(error), publisher->topic_names[publisher->first_topic]);
    if (publisher->many_topics)
        publisher->refusal.whole_topic = false;
    rd_kafka_error_destroy(error);
}

/* Aborts and tells why. */
static bool publisher_fail(struct publisher *publisher, rd_kafka_resp_err_t code, const char *what, struct error *e)
{
    char why[128];
    rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(publisher->lane->producer, why, sizeof why);

    if (fatal && !publisher->idempotent) {
        publisher->broken = true;
        publisher->fenced = is_fencing(fatal);
        publisher->open = false;
        return kafka_error(fatal, what, e);
    }
    publisher_note_cause(publisher, code);
    publisher_abort(publisher);
    if (publisher->refusal.row_id)
        return error_set(e, ERROR_REFUSED, "row %" PRIu64 ": %s", publisher->refusal.row_id, publisher->refusal.reason);
    return kafka_error(code, what, e);
}

/* ---- A row as a message ---- */

static bool publisher_topic(
    struct publisher *publisher, const char *name, rd_kafka_topic_t **ret_handle, struct error *e)
{
    char full[KAFKA_TOPIC_MAX];
    size_t i = publisher->topic_last;

    if (i >= publisher->topic_count || strcmp(publisher->topic_names[i], name) != 0)
        for (i = 0; i < publisher->topic_count; i++)
            if (strcmp(publisher->topic_names[i], name) == 0)
                break;
    if (i == PUBLISHER_TOPICS_MAX)
        return error_set(e, ERROR_FATAL, "more than %d topics", PUBLISHER_TOPICS_MAX);
    if (!publisher->lane->topics[i]) {
        if (!kafka_topic_name(publisher->kafka, name, full, e))
            return false;
        publisher->lane->topics[i] = rd_kafka_topic_new(publisher->lane->producer, full, NULL);
        if (!publisher->lane->topics[i])
            return kafka_error(rd_kafka_last_error(), "topic", e);
    }
    if (i == publisher->topic_count)
        publisher->topic_names[publisher->topic_count++] = xstrdup(name);
    publisher->topic_last = i;
    *ret_handle = publisher->lane->topics[i];
    return true;
}

/* RFC 3339 in UTC. Returns the length. */
static int publisher_time(struct publisher *publisher, int64_t time_us)
{
    int64_t second = time_us / 1000000, rest = time_us % 1000000;

    if (rest < 0) {
        rest += 1000000;
        second--;
    }
    if (second != publisher->time_second) {
        struct tm tm;
        time_t t = (time_t)second;

        gmtime_r(&t, &tm);
        strftime(publisher->time_text, sizeof publisher->time_text, "%Y-%m-%dT%H:%M:%S.000000Z", &tm);
        publisher->time_second = second;
    }
    int length = (int)strlen(publisher->time_text);
    char *digit = publisher->time_text + length - 2;
    for (int i = 0; i < 6; i++, rest /= 10)
        *digit-- = (char)('0' + rest % 10);
    return length;
}

static rd_kafka_headers_t *publisher_headers(struct publisher *publisher, const struct source_row *row)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8 + row->header_count / 2);
    char number[24], id[ID_MAX];
    bool fits;

    snprintf(number, sizeof number, "%" PRIu64, row->id);
    fits = mapping_format(publisher->id_format, row->event_id ? row->event_id : number, id, sizeof id);

    rd_kafka_header_add(headers, "ce_specversion", 14, "1.0", 3);
    rd_kafka_header_add(headers, "ce_id", 5, fits ? id : number, -1);
    rd_kafka_header_add(headers, "ce_source", 9, publisher->ce_source, -1);
    rd_kafka_header_add(headers, "ce_type", 7, row->type, -1);
    if (row->created_at_us) {
        int time_len = publisher_time(publisher, row->created_at_us);

        rd_kafka_header_add(headers, "ce_time", 7, publisher->time_text, time_len);
    }
    rd_kafka_header_add(headers, "content-type", 12, publisher->content_type, -1);
    if (*row->traceparent)
        rd_kafka_header_add(headers, "traceparent", 11, row->traceparent, -1);
    if (publisher->idempotent) {
        char sequence[SEQUENCE_DIGITS + 1];

        snprintf(sequence, sizeof sequence, "%0*" PRIu64, SEQUENCE_DIGITS, row->seq);
        rd_kafka_header_add(headers, "ce_sequence", 11, sequence, SEQUENCE_DIGITS);
    }
    if (row->replay) {
        snprintf(number, sizeof number, "%" PRIu64, row->replay);
        rd_kafka_header_add(headers, "ce_replay", 9, number, -1);
    }
    for (size_t i = 0; i + 1 < row->header_count; i += 2)
        rd_kafka_header_add(headers, row->headers[i].data, (ssize_t)row->headers[i].len, row->headers[i + 1].data,
            (ssize_t)row->headers[i + 1].len);
    return headers;
}

static rd_kafka_resp_err_t publisher_produce(
    struct publisher *publisher, rd_kafka_topic_t *topic, const struct source_row *row)
{
    rd_kafka_headers_t *headers = publisher_headers(publisher, row);
    rd_kafka_vu_t message[] = {
        { .vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic },
        { .vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = RD_KAFKA_PARTITION_UA },
        { .vtype = RD_KAFKA_VTYPE_KEY, .u.mem = { (void *)(uintptr_t)row->key.data, row->key.len } },
        { .vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = { (void *)(uintptr_t)row->payload.data, row->payload.len } },
        { .vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers },
        { .vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)(uintptr_t)row->id },
        { .vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY },
    };
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__QUEUE_FULL;

    while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && !publisher->failed) {
        rd_kafka_error_t *error = rd_kafka_produceva(publisher->lane->producer, message, ARRAY_LEN(message));

        code = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
        rd_kafka_error_destroy(error);
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            rd_kafka_poll(publisher->lane->producer, 10);
    }
    if (code)
        rd_kafka_headers_destroy(headers);
    return publisher->failed ? publisher->failed : code;
}

bool publisher_add(struct publisher *publisher, const struct source_row *row, struct error *e)
{
    rd_kafka_topic_t *topic;
    rd_kafka_resp_err_t code;

    if (!publisher->open && !publisher_begin(publisher, e))
        return false;
    if (!publisher_topic(publisher, row->topic, &topic, e)) {
        publisher_abort(publisher);
        if (e->kind == ERROR_INVALID) {
            publisher->refusal = (struct publisher_refusal){ .row_id = row->id, .whole_topic = true };
            snprintf(publisher->refusal.topic, sizeof publisher->refusal.topic, "%s", row->topic);
            snprintf(publisher->refusal.reason, sizeof publisher->refusal.reason, "%.150s", e->message);
            e->kind = ERROR_REFUSED;
        }
        return false;
    }
    if (publisher->rows == 0)
        publisher->first_topic = publisher->topic_last;
    publisher->many_topics |= publisher->first_topic != publisher->topic_last;
    code = publisher_produce(publisher, topic, row);
    if (code == RD_KAFKA_RESP_ERR__STATE && !publisher_flush(publisher, e))
        return false; /* the transaction has failed meanwhile, of earlier rows: their reports say why */
    if (code) {
        publisher_note_refusal(publisher, row->id, code, row->topic);
        return publisher_fail(publisher, code, "produce", e);
    }
    if (++publisher->rows % POLL_EVERY_ROWS == 0)
        rd_kafka_poll(publisher->lane->producer, 0);
    return true;
}

bool publisher_flush(struct publisher *publisher, struct error *e)
{
    while (!publisher->failed && !rd_kafka_fatal_error(publisher->lane->producer, NULL, 0))
        if (rd_kafka_flush(publisher->lane->producer, STEP_TIMEOUT_MS) == RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
    if (publisher->failed || rd_kafka_fatal_error(publisher->lane->producer, NULL, 0))
        return publisher_fail(publisher, publisher->failed, "deliver", e);
    return true;
}

/* Whatever else than success or "ask again" comes back: the outcome is not known to us, the stored position knows it.
 */
static bool publisher_settle(struct publisher *publisher, struct error *e)
{
    int64_t deadline_us = monotonic_us() + (int64_t)SETTLE_TIMEOUT_MS * 1000;

    for (;;) {
        rd_kafka_error_t *error = rd_kafka_commit_transaction(publisher->lane->producer, STEP_TIMEOUT_MS);

        if (!error)
            return true;
        if (!rd_kafka_error_is_retriable(error) || monotonic_us() > deadline_us) {
            publisher->broken = true;
            publisher->fenced = is_fencing(rd_kafka_error_code(error));
            return kafka_error_take(error, "commit_transaction", e);
        }
        rd_kafka_error_destroy(error);
    }
}

/* In idempotent mode: the brokers have all rows. */
static bool publisher_settle_rows(struct publisher *publisher, struct error *e)
{
    if (!publisher_flush(publisher, e))
        return false;
    publisher->open = false;
    publisher->rows = 0;
    return true;
}

static void publisher_next_lane(struct publisher *publisher)
{
    size_t next = (size_t)(publisher->lane - publisher->lanes) + 1;

    publisher->lane = &publisher->lanes[next % publisher->lane_count];
}

bool publisher_commit(struct publisher *publisher, const struct position *position, struct error *e)
{
    rd_kafka_resp_err_t code;

    if (publisher->idempotent)
        return publisher_settle_rows(publisher, e);
    if (!publisher->open && !publisher_begin(publisher, e))
        return false;
    while ((code = position_topic_store(&publisher->lane->positions, position)) == RD_KAFKA_RESP_ERR__QUEUE_FULL &&
           !publisher->failed)
        rd_kafka_poll(publisher->lane->producer, 10);
    if (code)
        return publisher_fail(publisher, code, "store the position", e);
    if (!publisher_flush(publisher, e))
        return false;
    crash_point("relay.delivered");

    bool settled = publisher_settle(publisher, e);
    publisher->open = false;
    publisher->rows = 0;
    publisher->lane->ended_us = monotonic_us();
    if (settled)
        publisher_next_lane(publisher);
    return settled;
}

bool publisher_usable(const struct publisher *publisher)
{
    return !publisher->broken;
}

bool publisher_fenced(const struct publisher *publisher)
{
    return publisher->fenced;
}

size_t publisher_count(const struct publisher *publisher)
{
    return publisher->open ? publisher->rows : 0;
}

int64_t publisher_age_us(const struct publisher *publisher)
{
    return publisher->open ? monotonic_us() - publisher->opened_us : 0;
}

const struct publisher_refusal *publisher_refusal(const struct publisher *publisher)
{
    return &publisher->refusal;
}
