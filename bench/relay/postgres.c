/* The limit of reading, and latency. */
#include "bench.h"

#include "source.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WRITERS = 8, SETTLE_S = 20, POLL_MS = 100, WARM_UP_S = 10 };

int bench_limit_read(const struct bench_options *options, int64_t page_rows)
{
    const struct source_options source_options = { .mode = SOURCE_POLL,
        .name = "bench",
        .setting = "RELAY_BENCH",
        .dsn = options->postgres_url,
        .application_name = "relay-bench",
        .mapping = &mapping_default,
        .page_rows = page_rows,
        .page_bytes = 4194304,
        .poll_max_us = 10000 };
    CLEANUP(source_free) struct source *source = NULL;
    struct source_page page = { 0 };
    struct position position;
    struct error e = { 0 };
    uint64_t rows = 0;

    position_init(&position);
    if (!source_open(&source_options, &source, &e) || !source_identify(source, &position, &e) ||
        !source_resume(source, &position, &e))
        bench_die("read", e.message);
    int64_t begin_us = monotonic_us();
    do {
        if (!source_next(source, 1000000, &page, &e))
            bench_die("read", e.message);
        rows += page.count;
    } while (!page.round_done);
    bench_print_rate(rows, begin_us);
    position_release(&position);
    return 0;
}

/* ---- Latency: from the writer's commit to the reader's hand ---- */

struct latency {
    const struct bench_options *options;
    int rate, seconds;
    uint64_t rows;
    int64_t *committed_us; /* by n; 0: not yet */
    int64_t *latency_us;   /* -1: not read */
    int64_t begin_us;
};

struct writer {
    struct latency *latency;
    uint64_t first; /* n: every WRITERS-th from here */
    pthread_t thread;
};

static void *write_rows(void *context)
{
    struct writer *writer = context;
    struct latency *latency = writer->latency;
    PGconn *pg = PQconnectdb(latency->options->postgres_url);
    char payload[BENCH_PAYLOAD_BYTES + 1] = "", key[16];
    const char *const arguments[] = { bench_topic, key, payload };

    PQclear(PQprepare(pg, "w",
        "INSERT INTO outbox (topic, key, type, payload) VALUES ($1, convert_to($2, 'UTF8'), "
        "'penstock.bench.v1.Happened', "
        "convert_to($3, 'UTF8'))",
        3, NULL));
    for (uint64_t n = writer->first; n <= latency->rows; n += WRITERS) {
        int64_t due_us = latency->begin_us + (int64_t)(n * 1000000 / (uint64_t)latency->rate),
                wait_us = due_us - monotonic_us();

        if (wait_us > 0)
            nanosleep(&(struct timespec){ .tv_sec = wait_us / 1000000, .tv_nsec = wait_us % 1000000 * 1000 }, NULL);
        bench_payload(n, payload);
        snprintf(key, sizeof key, "k%" PRIu64, n % BENCH_KEYS);
        PGresult *result = PQexecPrepared(pg, "w", 3, arguments, NULL, NULL, 0);
        __atomic_store_n(&latency->committed_us[n], monotonic_us(), __ATOMIC_RELEASE);
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            bench_die("insert", PQerrorMessage(pg));
        PQclear(result);
    }
    PQfinish(pg);
    return NULL;
}

static void read_rows(struct latency *latency, rd_kafka_t *reader)
{
    int64_t deadline_us = latency->begin_us + (int64_t)(latency->seconds + SETTLE_S) * 1000000;
    char digits[BENCH_DIGITS + 1] = "";
    uint64_t read = 0;

    while (read < latency->rows && monotonic_us() < deadline_us) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, POLL_MS);
        int64_t at_us = monotonic_us(), committed_us;

        if (message && !message->err) {
            memcpy(digits, message->payload, BENCH_DIGITS);
            uint64_t n = strtoull(digits, NULL, 10);
            /* The reader may be quicker than the writer's own answer. */
            committed_us = __atomic_load_n(&latency->committed_us[n], __ATOMIC_ACQUIRE);
            if (latency->latency_us[n] < 0) {
                latency->latency_us[n] = committed_us > 0 && at_us > committed_us ? at_us - committed_us : 0;
                read++;
            }
        }
        if (message)
            rd_kafka_message_destroy(message);
    }
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

int bench_latency(const struct bench_options *options, int rate, int seconds)
{
    struct latency latency = {
        .options = options, .rate = rate, .seconds = seconds, .rows = (uint64_t)rate * (uint64_t)seconds
    };
    struct writer writers[WRITERS];
    uint64_t from = (uint64_t)rate * WARM_UP_S + 1, lost = 0, count;
    rd_kafka_t *reader = bench_reader(options);

    latency.committed_us = xcalloc(latency.rows + 1, sizeof *latency.committed_us);
    latency.latency_us = xmalloc((latency.rows + 1) * sizeof *latency.latency_us);
    for (uint64_t n = 0; n <= latency.rows; n++)
        latency.latency_us[n] = -1;
    rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, 1000); /* connected before the first row */
    if (message)
        rd_kafka_message_destroy(message);
    latency.begin_us = monotonic_us() + 500000;
    for (uint64_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){ .latency = &latency, .first = i + 1 };
        if (pthread_create(&writers[i].thread, NULL, write_rows, &writers[i]) != 0)
            bench_die("latency", "no thread");
    }
    read_rows(&latency, reader);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);

    count = latency.rows - from + 1;
    for (uint64_t n = from; n <= latency.rows; n++)
        lost += latency.latency_us[n] < 0;
    qsort(latency.latency_us + from, count, sizeof *latency.latency_us, compare);
    printf("{\"rate\": %d, \"rows\": %" PRIu64 ", \"unread\": %" PRIu64 ", \"p50_us\": %" PRId64
           ", \"p99_us\": %" PRId64 ", \"p999_us\": %" PRId64 ", \"written_in_s\": %.1f}\n",
        rate, latency.rows, lost, latency.latency_us[from + count / 2], latency.latency_us[from + count * 99 / 100],
        latency.latency_us[from + count * 999 / 1000], (double)(monotonic_us() - latency.begin_us) / 1000000);
    rd_kafka_destroy(reader);
    xfree(latency.committed_us);
    xfree(latency.latency_us);
    return 0;
}
