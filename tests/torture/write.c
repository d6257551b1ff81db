#include "torture.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    CONNECTIONS_MAX = 32,
    ROWS_MAX = 200, /* of a key in one transaction */
    KEYS_MAX = 3,   /* in one transaction */
    SQL_MAX = ROWS_MAX * (TORTURE_PAYLOAD_MAX + 64) + 256,
    LONG_MS_MAX = 2500,
};

struct writer {
    const struct torture_options *options;
    unsigned random;
    int64_t until_us;
    PGconn *pg; /* NULL: to be connected */
    char *sql;
    uint64_t committed, rolled_back, lost; /* rows, transactions, connections */
    pthread_t thread;
};

static unsigned pick(struct writer *writer, unsigned below)
{
    return (unsigned)rand_r(&writer->random) % below;
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

/* One statement; *ret_number is its first column, if wanted. What fails here is Postgres having been killed. */
static bool run(struct writer *writer, const char *sql, uint64_t *ret_number)
{
    PGresult *result = PQexec(writer->pg, sql);
    ExecStatusType status = PQresultStatus(result);
    bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;

    if (ok && ret_number)
        *ret_number = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    if (!ok && PQstatus(writer->pg) == CONNECTION_OK &&
        strncmp(PQresultErrorField(result, PG_DIAG_SQLSTATE), "57", 2) != 0)
        fprintf(stderr, "torture: %.80s: %s", sql, PQerrorMessage(writer->pg));
    PQclear(result);
    return ok;
}

static bool connected(struct writer *writer)
{
    if (writer->pg && PQstatus(writer->pg) == CONNECTION_OK)
        return true;
    if (writer->pg) {
        writer->lost++;
        PQfinish(writer->pg);
        sleep_ms(100);
    }
    writer->pg = PQconnectdb(writer->options->postgres_url);
    return PQstatus(writer->pg) == CONNECTION_OK;
}

/* Waits for the key's lock, moves its counter and writes that many rows. */
static bool write_key(struct writer *writer, uint32_t key, unsigned rows)
{
    char payload[TORTURE_PAYLOAD_MAX];
    uint64_t last;
    size_t len;

    snprintf(writer->sql, SQL_MAX, "UPDATE torture_keys SET n = n + %u WHERE key = %" PRIu32 " RETURNING n", rows, key);
    if (!run(writer, writer->sql, &last))
        return false;
    len = (size_t)snprintf(writer->sql, SQL_MAX, "INSERT INTO outbox (topic, key, type, payload) VALUES ");
    for (uint64_t n = last - rows + 1; n <= last; n++) {
        torture_payload(writer->options->seed, key, n, payload);
        len += (size_t)snprintf(writer->sql + len, SQL_MAX - len,
            "%s('%s', 'k%" PRIu32 "', 'penstock.test.v1.Happened', '%s')", n == last - rows + 1 ? "" : ",",
            torture_topics[key % TORTURE_TOPICS], key, payload);
    }
    return run(writer, writer->sql, NULL);
}

/* Some take their transaction number before they wait for a lock; some are long; some roll back; some do not wait for
 * the disk. */
static bool transaction(struct writer *writer, uint64_t *ret_rows)
{
    unsigned keys = 1 + pick(writer, KEYS_MAX), style = pick(writer, 100);
    uint32_t key = pick(writer, TORTURE_KEYS - KEYS_MAX);

    *ret_rows = 0;
    if (!run(writer, "BEGIN", NULL) || (style < 30 && !run(writer, "SELECT pg_current_xact_id()", NULL)) ||
        (style % 10 == 0 && !run(writer, "SET LOCAL synchronous_commit = off", NULL)))
        return false;
    for (unsigned i = 0; i < keys; i++, key += 1 + pick(writer, 2)) { /* ascending: no deadlocks */
        unsigned rows = style < 50 ? 1 + pick(writer, 5) : 1 + pick(writer, ROWS_MAX);

        if (key >= TORTURE_KEYS)
            break;
        if (style < 40 && i > 0)
            sleep_ms(style < 2 ? pick(writer, LONG_MS_MAX) : pick(writer, 5)); /* holding the locks taken so far */
        if (!write_key(writer, key, rows))
            return false;
        *ret_rows += rows;
    }
    if (style % 9 == 0) {
        *ret_rows = 0;
        writer->rolled_back++;
        return run(writer, "ROLLBACK", NULL);
    }
    return run(writer, "COMMIT", NULL);
}

static void *writer_main(void *context)
{
    struct writer *writer = context;
    int64_t begin_us = monotonic_us();
    uint64_t rows;

    while (monotonic_us() < writer->until_us) {
        if (!connected(writer)) {
            sleep_ms(200);
            continue;
        }
        if (transaction(writer, &rows))
            writer->committed += rows;
        if (writer->options->rate_max > 0) {
            int64_t due_us = begin_us + (int64_t)writer->committed * 1000000 * writer->options->connections /
                                            writer->options->rate_max;

            if (due_us > monotonic_us())
                sleep_ms((due_us - monotonic_us()) / 1000);
        }
    }
    PQfinish(writer->pg);
    return NULL;
}

bool torture_write(const struct torture_options *options)
{
    struct writer writers[CONNECTIONS_MAX] = { 0 };
    uint64_t committed = 0, rolled_back = 0, lost = 0;
    int count = options->connections < CONNECTIONS_MAX ? options->connections : CONNECTIONS_MAX;

    for (int i = 0; i < count; i++) {
        writers[i] = (struct writer){ .options = options,
            .random = (unsigned)(options->seed * 31 + (uint64_t)i),
            .until_us = monotonic_us() + (int64_t)options->seconds * 1000000,
            .sql = xmalloc(SQL_MAX) };
        if (pthread_create(&writers[i].thread, NULL, writer_main, &writers[i]) != 0)
            abort();
    }
    for (int i = 0; i < count; i++) {
        pthread_join(writers[i].thread, NULL);
        xfree(writers[i].sql);
        committed += writers[i].committed;
        rolled_back += writers[i].rolled_back;
        lost += writers[i].lost;
    }
    printf("rows %" PRIu64 " rolled back %" PRIu64 " connections lost %" PRIu64 "\n", committed, rolled_back, lost);
    return committed > 0;
}
