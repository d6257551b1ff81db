/* Topics, the count, and the limit of producing. */
#include "bench.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { METADATA_MS = 10000, POLL_MS = 100, BATCH_MAX = 5000, STEP_MS = 60000 };
enum {
    MARKERS_NS = 2000000 /* as the relay: a transaction that begins while the broker writes markers waits for 20 ms */
};

rd_kafka_t *bench_producer(const struct bench_options *options, const char *const (*settings)[2], size_t count)
{
    struct error e = { 0 };
    rd_kafka_conf_t *conf;
    rd_kafka_t *producer;
    char why[256];

    if (!kafka_conf(&options->kafka, &conf, &e))
        bench_die("producer", e.message);
    for (size_t i = 0; i < count; i++)
        if (!kafka_conf_set(conf, settings[i][0], settings[i][1], &e))
            bench_die(settings[i][0], e.message);
    producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!producer)
        bench_die("producer", why);
    return producer;
}

rd_kafka_t *bench_reader(const struct bench_options *options)
{
    static const char *const settings[][2] = { { "group.id", "relay-bench" }, { "isolation.level", "read_committed" },
        { "enable.auto.commit", "false" }, { "enable.partition.eof", "true" }, { "fetch.wait.max.ms", "500" } };
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(BENCH_PARTITIONS);
    char name[KAFKA_TOPIC_MAX], why[256];
    struct error e = { 0 };
    rd_kafka_conf_t *conf;
    rd_kafka_t *reader;

    if (!kafka_conf(&options->kafka, &conf, &e) || !kafka_topic_name(&options->kafka, bench_topic, name, &e))
        bench_die("reader", e.message);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        if (!kafka_conf_set(conf, settings[i][0], settings[i][1], &e))
            bench_die(settings[i][0], e.message);
    reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (!reader)
        bench_die("reader", why);
    for (int32_t p = 0; p < BENCH_PARTITIONS; p++)
        rd_kafka_topic_partition_list_add(list, name, p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    if (rd_kafka_assign(reader, list) != RD_KAFKA_RESP_ERR_NO_ERROR)
        bench_die("reader", "assign");
    rd_kafka_topic_partition_list_destroy(list);
    return reader;
}

/* The broker's clock on each batch: what is measured is when rows were in Kafka, and nobody has to watch. */
int bench_topics(const struct bench_options *options)
{
    rd_kafka_t *client = bench_producer(options, NULL, 0);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    char name[KAFKA_TOPIC_MAX], positions[KAFKA_TOPIC_MAX], why[256];
    const rd_kafka_topic_result_t **results;
    struct error e = { 0 };
    size_t count;

    if (!kafka_topic_name(&options->kafka, bench_topic, name, &e) ||
        !kafka_topic_name(&options->kafka, "outbox.positions.v1", positions, &e))
        bench_die("topics", e.message);
    rd_kafka_NewTopic_t *topics[] = { rd_kafka_NewTopic_new(name, BENCH_PARTITIONS, 1, why, sizeof why),
        rd_kafka_NewTopic_new(positions, 1, 1, why, sizeof why) };
    rd_kafka_NewTopic_set_config(topics[0], "message.timestamp.type", "LogAppendTime");
    rd_kafka_NewTopic_set_config(topics[1], "cleanup.policy", "compact");
    rd_kafka_CreateTopics(client, topics, ARRAY_LEN(topics), NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, METADATA_MS);
    if (!event || rd_kafka_event_error(event))
        bench_die("topics", event ? rd_kafka_event_error_string(event) : "no answer");
    results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    for (size_t i = 0; i < count; i++)
        if (rd_kafka_topic_result_error(results[i]))
            bench_die("topics", rd_kafka_topic_result_error_string(results[i]));
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy_array(topics, ARRAY_LEN(topics));
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
    return 0;
}

/* ---- Counting ---- */

struct count {
    uint8_t *seen; /* by n */
    uint64_t last[BENCH_KEYS];
    uint64_t rows, read, twice, misplaced;
    int64_t first_ms, last_ms; /* broker's clock */
    bool at_end[BENCH_PARTITIONS];
};

static bool enough_is_there(rd_kafka_t *reader, const char *name, uint64_t rows)
{
    int64_t begin, end;
    uint64_t sum = 0;

    for (int32_t p = 0; p < BENCH_PARTITIONS; p++)
        if (rd_kafka_query_watermark_offsets(reader, name, p, &begin, &end, METADATA_MS) == RD_KAFKA_RESP_ERR_NO_ERROR)
            sum += (uint64_t)(end - begin);
    return sum >= rows;
}

static void count_message(struct count *count, const rd_kafka_message_t *message)
{
    char digits[BENCH_DIGITS + 1] = "";
    uint64_t n, key;

    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        count->at_end[message->partition] = true;
    if (message->err)
        return;
    count->at_end[message->partition] = false;
    if (message->len != BENCH_PAYLOAD_BYTES)
        bench_die("count", "a payload is not as long as it was");
    memcpy(digits, message->payload, BENCH_DIGITS);
    n = strtoull(digits, NULL, 10);
    if (n == 0 || n > count->rows)
        bench_die("count", "a payload is not one of ours");
    key = n % BENCH_KEYS;
    count->read++;
    count->twice += count->seen[n];
    count->seen[n] = 1;
    count->misplaced += n < count->last[key];
    count->last[key] = n;

    int64_t at_ms = rd_kafka_message_timestamp(message, NULL);
    if (count->first_ms == 0 || at_ms < count->first_ms)
        count->first_ms = at_ms;
    if (at_ms > count->last_ms)
        count->last_ms = at_ms;
}

static bool all_at_end(const struct count *count)
{
    for (int p = 0; p < BENCH_PARTITIONS; p++)
        if (!count->at_end[p])
            return false;
    return true;
}

/* Looks at the ends of the partitions, twice a second, until enough is there; only then reads. */
int bench_count(const struct bench_options *options, uint64_t rows, int timeout_s)
{
    int64_t deadline_us = monotonic_us() + (int64_t)timeout_s * 1000000;
    struct count count = { .seen = xcalloc(rows + 1, 1), .rows = rows };
    static rd_kafka_message_t *messages[BATCH_MAX];
    char name[KAFKA_TOPIC_MAX];
    struct error e = { 0 };
    rd_kafka_t *watcher = bench_producer(options, NULL, 0), *reader;

    if (!kafka_topic_name(&options->kafka, bench_topic, name, &e))
        bench_die("count", e.message);
    while (!enough_is_there(watcher, name, rows) && monotonic_us() < deadline_us)
        nanosleep(&(struct timespec){ .tv_nsec = 500000000 }, NULL);
    rd_kafka_destroy(watcher);

    reader = bench_reader(options);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(reader);
    while (monotonic_us() < deadline_us && !(count.read - count.twice >= rows && all_at_end(&count))) {
        ssize_t got = rd_kafka_consume_batch_queue(queue, POLL_MS, messages, BATCH_MAX);

        for (ssize_t i = 0; i < got; i++) {
            count_message(&count, messages[i]);
            rd_kafka_message_destroy(messages[i]);
        }
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(reader);
    uint64_t first_missing = 0, last_missing = 0;
    for (uint64_t n = 1; n <= rows; n++) {
        if (!count.seen[n] && first_missing == 0)
            first_missing = n;
        if (!count.seen[n])
            last_missing = n;
    }
    if (first_missing)
        fprintf(stderr, "missing: from %" PRIu64 " to %" PRIu64 "\n", first_missing, last_missing);
    printf("{\"rows\": %" PRIu64 ", \"twice\": %" PRIu64 ", \"missing\": %" PRIu64 ", \"misplaced\": %" PRIu64
           ", \"seconds\": %.3f, \"rows_per_second\": %.0f}\n",
        count.read, count.twice, rows - (count.read - count.twice), count.misplaced,
        (double)(count.last_ms - count.first_ms) / 1000,
        (double)count.read * 1000 / (double)(count.last_ms > count.first_ms ? count.last_ms - count.first_ms : 1));
    xfree(count.seen);
    return 0;
}

/* ---- The limit of producing ---- */

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    (void)producer;
    (void)opaque;
    if (message->err)
        bench_die("deliver", rd_kafka_err2str(message->err));
}

static rd_kafka_headers_t *cloud_event(uint64_t n)
{
    static const char *const fixed[][2] = { { "ce_specversion", "1.0" }, { "ce_source", "/penstock/trade-ledger" },
        { "ce_type", "penstock.bench.v1.Happened" }, { "ce_time", "2026-01-02T03:04:05.000678Z" },
        { "content-type", "application/protobuf" } };
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
    char id[40];

    snprintf(id, sizeof id, "trade-ledger-%" PRIu64, n);
    rd_kafka_header_add(headers, "ce_id", 5, id, -1);
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        rd_kafka_header_add(headers, fixed[i][0], -1, fixed[i][1], -1);
    return headers;
}

static void produce(rd_kafka_t *producer, rd_kafka_topic_t *topic, uint64_t n, bool with_headers)
{
    char key[16], payload[BENCH_PAYLOAD_BYTES];
    rd_kafka_resp_err_t code;

    bench_payload(n, payload);
    snprintf(key, sizeof key, "k%" PRIu64, n % BENCH_KEYS);
    for (;;) {
        rd_kafka_headers_t *headers = with_headers ? cloud_event(n) : rd_kafka_headers_new(1);

        code = rd_kafka_producev(producer, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_KEY(key, strlen(key)),
            RD_KAFKA_V_VALUE(payload, sizeof payload), RD_KAFKA_V_HEADERS(headers),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            return;
        rd_kafka_headers_destroy(headers);
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            bench_die("produce", rd_kafka_err2str(code));
        rd_kafka_poll(producer, 5);
    }
}

static void check(rd_kafka_error_t *error, const char *what)
{
    if (error)
        bench_die(what, rd_kafka_error_string(error));
}

int bench_limit_produce(const struct bench_options *options, uint64_t rows, int64_t transaction_us, bool headers)
{
    static const char *const settings[][2] = { { "transactional.id", "relay-bench" }, { "compression.codec", "lz4" },
        { "linger.ms", "10" }, { "batch.size", "1000000" }, { "partitioner", "murmur2_random" } };
    char name[KAFKA_TOPIC_MAX], why[256];
    struct error e = { 0 };
    rd_kafka_conf_t *conf;
    rd_kafka_t *producer;

    if (!kafka_conf(&options->kafka, &conf, &e) || !kafka_topic_name(&options->kafka, bench_topic, name, &e))
        bench_die("producer", e.message);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        if (!kafka_conf_set(conf, settings[i][0], settings[i][1], &e))
            bench_die(settings[i][0], e.message);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    if (!(producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why)))
        bench_die("producer", why);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, name, NULL);

    check(rd_kafka_init_transactions(producer, STEP_MS), "init_transactions");
    int64_t begin_us = monotonic_us(), opened_us = 0;
    for (uint64_t n = 1; n <= rows; n++) {
        if (opened_us == 0) {
            check(rd_kafka_begin_transaction(producer), "begin_transaction");
            opened_us = monotonic_us();
        }
        produce(producer, topic, n, headers);
        if (n == rows || (n % 256 == 0 && monotonic_us() - opened_us >= transaction_us)) {
            check(rd_kafka_commit_transaction(producer, STEP_MS), "commit_transaction");
            opened_us = 0;
            nanosleep(&(struct timespec){ .tv_nsec = MARKERS_NS }, NULL);
        } else if (n % 256 == 0) {
            rd_kafka_poll(producer, 0);
        }
    }
    bench_print_rate(rows, begin_us);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(producer);
    return 0;
}
