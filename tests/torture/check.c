#include "torture.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    POLL_MS = 200,
    QUIET_MS = 3000,     /* once all is there: nothing more may come for this long */
    COMPLAINTS_MAX = 10, /* printed */
    PARTITIONS_MAX = 64,
    BATCH_MAX = 1000,
    METADATA_MS = 5000,
    METADATA_TRIES_MAX = 12,
};

struct checker {
    const struct torture_options *options;
    uint64_t committed[TORTURE_KEYS]; /* rows */
    uint64_t seen[TORTURE_KEYS];      /* the last n that came in its turn */
    uint64_t rows, total, twice, misplaced, false_rows;
};

static bool load_counters(struct checker *checker)
{
    PGconn *pg = PQconnectdb(checker->options->postgres_url);
    PGresult *result = PQexec(pg, "SELECT key, n FROM torture_keys");
    bool ok = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == TORTURE_KEYS;

    if (!ok)
        fprintf(stderr, "torture: cannot read the counters: %s\n", PQerrorMessage(pg));
    for (int i = 0; ok && i < TORTURE_KEYS; i++) {
        uint64_t n = strtoull(PQgetvalue(result, i, 1), NULL, 10);

        checker->committed[strtoul(PQgetvalue(result, i, 0), NULL, 10) % TORTURE_KEYS] = n;
        checker->total += n;
    }
    PQclear(result);
    PQfinish(pg);
    return ok;
}

static void complain(struct checker *checker, const rd_kafka_message_t *message, const char *what)
{
    if (checker->twice + checker->misplaced + checker->false_rows <= COMPLAINTS_MAX)
        printf("%s: %s [%" PRId32 "] offset %" PRId64 ", key %.*s, %.40s\n", what, rd_kafka_topic_name(message->rkt),
            message->partition, message->offset, (int)message->key_len, (const char *)message->key,
            message->len ? (const char *)message->payload : "");
}

/* The payload says key and n; it must be the very one of that row, and n the next of its key. */
static void take(struct checker *checker, const rd_kafka_message_t *message)
{
    char payload[TORTURE_PAYLOAD_MAX];
    unsigned key = TORTURE_KEYS;
    uint64_t n = 0;
    size_t len = message->len < TORTURE_PAYLOAD_MAX - 1 ? message->len : TORTURE_PAYLOAD_MAX - 1;

    checker->rows++;
    memcpy(payload, message->payload, len);
    payload[len] = '\0';
    if (sscanf(payload, "%u:%" SCNu64 ":", &key, &n) != 2 || key >= TORTURE_KEYS || n == 0 ||
        n > checker->committed[key] || torture_payload(checker->options->seed, key, n, payload) != message->len ||
        memcmp(payload, message->payload, message->len) != 0 ||
        !strstr(rd_kafka_topic_name(message->rkt), torture_topics[key % TORTURE_TOPICS])) {
        checker->false_rows++;
        complain(checker, message, "never committed");
    } else if (n <= checker->seen[key]) {
        checker->twice++;
        complain(checker, message, "twice, or after a later one");
    } else {
        if (n != checker->seen[key] + 1) {
            checker->misplaced++;
            complain(checker, message, "before an earlier one, or that one is lost");
        }
        checker->seen[key] = n;
    }
}

static rd_kafka_t *reader_open(const struct torture_options *options)
{
    static const char *const settings[][2] = { { "group.id", "torture" }, { "isolation.level", "read_committed" },
        { "enable.auto.commit", "false" }, { "auto.offset.reset", "earliest" }, { "fetch.wait.max.ms", "100" } };
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS_MAX);
    const struct rd_kafka_metadata *metadata = NULL;
    char why[256], name[KAFKA_TOPIC_MAX];
    struct error e = { 0 };
    rd_kafka_conf_t *conf;
    rd_kafka_t *reader;

    if (!kafka_conf(&options->kafka, &conf, &e))
        exit(2);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        if (!kafka_conf_set(conf, settings[i][0], settings[i][1], &e))
            exit(2);
    reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    for (int i = 0; reader && !metadata && i < METADATA_TRIES_MAX; i++) /* the broker may have been killed just now */
        if (rd_kafka_metadata(reader, 1, NULL, &metadata, METADATA_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
            metadata = NULL;
    if (!metadata)
        exit(2);
    for (int i = 0; i < TORTURE_TOPICS; i++) {
        if (!kafka_topic_name(&options->kafka, torture_topics[i], name, &e))
            exit(2);
        for (int t = 0; t < metadata->topic_cnt; t++)
            for (int p = 0; strcmp(metadata->topics[t].topic, name) == 0 && p < metadata->topics[t].partition_cnt; p++)
                rd_kafka_topic_partition_list_add(list, name, p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    }
    rd_kafka_metadata_destroy(metadata);
    if (rd_kafka_assign(reader, list) != RD_KAFKA_RESP_ERR_NO_ERROR)
        exit(2);
    rd_kafka_topic_partition_list_destroy(list);
    return reader;
}

static void read_all(struct checker *checker)
{
    int64_t deadline_us = monotonic_us() + (int64_t)checker->options->seconds * 1000000, quiet_since_us = 0;
    rd_kafka_t *reader = reader_open(checker->options);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(reader);
    rd_kafka_message_t *messages[BATCH_MAX];

    while (monotonic_us() < deadline_us) {
        ssize_t count = rd_kafka_consume_batch_queue(queue, POLL_MS, messages, BATCH_MAX);

        for (ssize_t i = 0; i < count; i++) {
            if (!messages[i]->err)
                take(checker, messages[i]);
            rd_kafka_message_destroy(messages[i]);
        }
        if (count > 0 || checker->rows < checker->total)
            quiet_since_us = 0;
        else if (quiet_since_us == 0)
            quiet_since_us = monotonic_us();
        else if (monotonic_us() - quiet_since_us > (int64_t)QUIET_MS * 1000)
            break;
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(reader);
}

bool torture_check(const struct torture_options *options)
{
    struct checker checker = { .options = options };
    uint64_t missing = 0;
    int keys = 0;

    if (!load_counters(&checker))
        return false;
    read_all(&checker);
    for (int i = 0; i < TORTURE_KEYS; i++) {
        keys += checker.committed[i] > 0;
        missing += checker.committed[i] - checker.seen[i];
    }
    printf("rows %" PRIu64 " of %" PRIu64 " keys %d missing %" PRIu64 " twice %" PRIu64 " misplaced %" PRIu64
           " false %" PRIu64 "\n",
        checker.rows, checker.total, keys, missing, checker.twice, checker.misplaced, checker.false_rows);
    return checker.total > 0 && checker.rows == checker.total &&
           missing + checker.twice + checker.misplaced + checker.false_rows == 0;
}
