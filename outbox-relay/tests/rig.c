#include "rig.h"

#include "log.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Time-outs are given for a quiet machine; a test waits this much longer before it calls something missing. What must
 * not come is never waited for by the clock. */
enum { PATIENCE = 6 };

static const char *const topics[] = { "orders.accepted.v1", "orders.events.v1", "ledger.entries.v1" };

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

static PGconn *connections[RIG_CONNECTIONS_MAX];
static size_t connection_count;

static void close_connections(void)
{
    while (connection_count > 0)
        PQfinish(connections[--connection_count]);
}

PGconn *rig_connect(const char *url)
{
    PGconn *pg = PQconnectdb(url);

    cr_assert_lt(connection_count, RIG_CONNECTIONS_MAX);
    if (connection_count == 0)
        atexit(close_connections);
    connections[connection_count++] = pg;

    cr_assert_eq(PQstatus(pg), CONNECTION_OK, "%s", PQerrorMessage(pg));
    return pg;
}

void rig_sql(PGconn *pg, const char *fmt, ...)
{
    char sql[4096];
    va_list args;
    PGresult *result;

    va_start(args, fmt);
    vsnprintf(sql, sizeof sql, fmt, args);
    va_end(args);
    result = PQexec(pg, sql);
    cr_assert(PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK, "%s: %s", sql,
        PQerrorMessage(pg));
    PQclear(result);
}

int64_t rig_number(PGconn *pg, const char *sql)
{
    PGresult *result = PQexec(pg, sql);
    int64_t number;

    cr_assert_eq(PQresultStatus(result), PGRES_TUPLES_OK, "%s: %s", sql, PQerrorMessage(pg));
    number = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return number;
}

static bool never(void *context)
{
    (void)context;
    return false;
}

void rig_open(struct rig *rig)
{
    *rig = (struct rig){ 0 };
    support_database_open("trade-ledger", &rig->database);
    support_topics_open(rig->prefix);
    rig->pg = rig_connect(rig->database.admin_url);
    rig->kafka = (struct kafka_options){
        .brokers = support_kafka_brokers(), .topic_prefix = rig->prefix, .client_id = "relay-test"
    };
    rig->options = (struct relay_options){ .source = "trade-ledger",
        .setting = "RELAY_TRADE_LEDGER",
        .dsn = rig->database.relay_url,
        .mapping = &mapping_default,
        .kafka = &rig->kafka,
        .compression = "lz4",
        .page_rows = 100,
        .page_bytes = 1 << 20,
        .poll_max_us = 10000,
        .transaction_us = 50000,
        .pause_us = 2000,
        .transaction_timeout_ms = 10000,
        .queue_kbytes_max = 4096,
        .lease_stale_us = 2000000,
        .park = true,
        .stopping = never };
}

void rig_insert(PGconn *pg, const char *topic, const char *key, int n)
{
    rig_sql(pg, "SELECT outbox_write('%s', '%s', 'penstock.test.v1.Happened', '%s:%d'::bytea)", topic, key, key, n);
}

void rig_insert_many(struct rig *rig, int count, int rows_per_transaction)
{
    for (int done = 0; done < count; done += rows_per_transaction)
        rig_sql(rig->pg,
            "INSERT INTO outbox (topic, key, type, payload) "
            "SELECT ('{%s,%s,%s}'::text[])[1 + i %% 3], convert_to('k' || i %% 50, 'UTF8'), "
            "'penstock.test.v1.Happened', "
            "       convert_to('k' || i %% 50 || ':' || i, 'UTF8') "
            "  FROM generate_series(%d, %d) AS i",
            topics[0], topics[1], topics[2], done,
            (done + rows_per_transaction < count ? done + rows_per_transaction : count) - 1);
}

/* ---- Relays ---- */

static volatile sig_atomic_t terminated;

static void on_terminate(int signal)
{
    (void)signal;
    terminated = 1;
}

static bool is_terminated(void *context)
{
    (void)context;
    return terminated;
}

pid_t rig_fork_relay(struct rig *rig, const char *crash_at)
{
    pid_t pid = fork();

    if (pid == 0) {
        struct relay_options options = rig->options;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGTERM, on_terminate);
        if (crash_at)
            setenv("CRASH_AT", crash_at, 1);
        log_init("outbox-relay");
        log_set_level(LOG_WARN);
        options.stopping = is_terminated;
        relay_run(relay_new(&options));
        _exit(0);
    }
    cr_assert_gt(pid, 0);
    return pid;
}

void rig_kill(pid_t pid, int signal)
{
    cr_assert_eq(kill(pid, signal), 0);
    if (signal != SIGSTOP && signal != SIGCONT)
        waitpid(pid, NULL, 0);
}

void rig_wait_killed(pid_t pid, int timeout_s)
{
    int status = 0;

    for (int i = 0; i < timeout_s * PATIENCE * 50 && waitpid(pid, &status, WNOHANG) == 0; i++)
        sleep_ms(20);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the relay did not come to its crash point");
}

static void *run(void *relay)
{
    relay_run(relay);
    return NULL;
}

static bool is_stopped(void *stop)
{
    return __atomic_load_n((bool *)stop, __ATOMIC_RELAXED);
}

void rig_start_relay(struct rig *rig, struct rig_relay *ret_relay)
{
    *ret_relay = (struct rig_relay){ .options = rig->options };
    ret_relay->options.stopping = is_stopped;
    ret_relay->options.context = &ret_relay->stop;
    log_init("outbox-relay");
    log_set_level(LOG_WARN);
    ret_relay->relay = relay_new(&ret_relay->options);
    cr_assert_eq(pthread_create(&ret_relay->thread, NULL, run, ret_relay->relay), 0);
}

void rig_stop_relay(struct rig_relay *relay)
{
    __atomic_store_n(&relay->stop, true, __ATOMIC_RELAXED);
    pthread_join(relay->thread, NULL);
    relay_free(relay->relay);
}

void rig_wait_state(struct rig_relay *relay, enum relay_state state, int timeout_s)
{
    struct relay_status status;

    for (int i = 0; i < timeout_s * PATIENCE * 50; i++) {
        relay_get_status(relay->relay, &status);
        if (status.state == state)
            return;
        sleep_ms(20);
    }
    cr_assert_fail(
        "the relay is %s instead of %s: %s", relay_state_name(status.state), relay_state_name(state), status.trouble);
}

int64_t rig_takeover_limit_us(int64_t limit_us)
{
    enum { BUSY_PERCENT = 40 };
    double waiting_percent = 0;
    FILE *pressure = fopen("/proc/pressure/cpu", "r");

    if (pressure) {
        if (fscanf(pressure, "some avg10=%lf", &waiting_percent) != 1)
            waiting_percent = 0;
        fclose(pressure);
    }
    return waiting_percent > BUSY_PERCENT ? limit_us * PATIENCE : limit_us;
}

void rig_wait_number(struct rig *rig, const char *sql, int64_t at_least, int timeout_s)
{
    int64_t deadline_us = monotonic_us() + (int64_t)timeout_s * PATIENCE * 1000000;

    while (rig_number(rig->pg, sql) < at_least) {
        cr_assert_lt(monotonic_us(), deadline_us, "never %" PRId64 ": %s", at_least, sql);
        sleep_ms(10);
    }
}

void rig_store_position(struct rig *rig, uint64_t system_identifier)
{
    const struct publisher_options options = { .kafka = &rig->kafka,
        .source = rig->options.source,
        .mapping = &mapping_default,
        .compression = "none",
        .queue_kbytes_max = 4096,
        .transaction_timeout_ms = 10000 };
    struct publisher *publisher = NULL;
    struct position position;
    struct error e = { 0 };

    position_init(&position);
    position.system_identifier = system_identifier;
    cr_assert(publisher_open(&options, &publisher, &e) && publisher_commit(publisher, &position, &e), "%s", e.message);
    position_release(&position);
    publisher_free(publisher);
}

/* ---- Reading ---- */

static rd_kafka_t *reader_open(struct rig *rig)
{
    char name[KAFKA_TOPIC_MAX];
    struct error e = { 0 };
    rd_kafka_conf_t *conf;
    rd_kafka_t *reader;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(12);

    cr_assert(kafka_conf(&rig->kafka, &conf, &e), "%s", e.message);
    cr_assert(kafka_conf_set(conf, "group.id", rig->prefix, &e) &&
              kafka_conf_set(conf, "isolation.level", "read_committed", &e) &&
              kafka_conf_set(conf, "enable.auto.commit", "false", &e) &&
              kafka_conf_set(conf, "fetch.wait.max.ms", "20", &e));
    reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, NULL, 0);
    for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
        cr_assert(kafka_topic_name(&rig->kafka, topics[i], name, &e));
        for (int32_t partition = 0; partition < 4; partition++)
            rd_kafka_topic_partition_list_add(list, name, partition)->offset = RD_KAFKA_OFFSET_BEGINNING;
    }
    cr_assert_eq(rd_kafka_assign(reader, list), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    return reader;
}

static void copy_text(char ret[RIG_TEXT_MAX], const void *data, size_t len)
{
    snprintf(ret, RIG_TEXT_MAX, "%.*s", (int)len, (const char *)data);
}

static void take_event(struct rig *rig, const rd_kafka_message_t *message, struct rig_event *ret)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t len, used = 0;

    snprintf(ret->topic, RIG_TEXT_MAX, "%s", rd_kafka_topic_name(message->rkt) + strlen(rig->prefix));
    copy_text(ret->key, message->key, message->key_len);
    copy_text(ret->payload, message->payload, message->len);
    ret->byte_count = message->len;
    if (message->len > 0)
        memcpy(ret->bytes, message->payload, message->len < RIG_BYTES_MAX ? message->len : RIG_BYTES_MAX);
    cr_assert_eq(rd_kafka_message_headers(message, &headers), RD_KAFKA_RESP_ERR_NO_ERROR);
    cr_assert_eq(rd_kafka_header_get_last(headers, "ce_id", &value, &len), RD_KAFKA_RESP_ERR_NO_ERROR);
    copy_text(ret->id, value, len);
    ret->partition = message->partition;
    if (rd_kafka_header_get_last(headers, "ce_sequence", &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR)
        ret->sequence = strtoull(value, NULL, 10);
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        used += (size_t)snprintf(
            ret->headers + used, RIG_HEADERS_MAX - used, "%s=%.*s ", name, (int)len, (const char *)value);
}

struct rig_event *rig_read(struct rig *rig, size_t count, int timeout_s, size_t *ret_count)
{
    enum { QUIET_POLLS = 5, POLL_MS = 100 }; /* once all are there: as long as this nothing more may come */
    int64_t deadline_us = monotonic_us() + (int64_t)timeout_s * PATIENCE * 1000000;
    struct rig_event *events = xcalloc(count * 3 + 1000, sizeof *events);
    rd_kafka_t *reader = reader_open(rig);
    int quiet = 0;

    *ret_count = 0;
    while (monotonic_us() < deadline_us && quiet < QUIET_POLLS && *ret_count < count * 3 + 1000) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, POLL_MS);

        if (message && !message->err) {
            take_event(rig, message, &events[(*ret_count)++]);
            quiet = 0;
        } else if (!message && *ret_count >= count) {
            quiet++;
        }
        if (message)
            rd_kafka_message_destroy(message);
    }
    rd_kafka_destroy(reader);
    return events;
}

/* By topic, key, and then as they were read: the reader is in order within a partition, and a key is in one. */
static int compare_events(const void *a, const void *b)
{
    const struct rig_event *x = *(const struct rig_event *const *)a, *y = *(const struct rig_event *const *)b;
    int order = strcmp(x->topic, y->topic);

    if (order == 0)
        order = strcmp(x->key, y->key);
    return order ? order : (x > y) - (x < y);
}

size_t rig_drop_repeats(struct rig_event *events, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        bool seen = false;

        for (size_t j = kept; j-- > 0 && !seen;)
            if (events[j].partition == events[i].partition && strcmp(events[j].topic, events[i].topic) == 0) {
                seen = events[j].sequence >= events[i].sequence;
                break;
            }
        if (!seen)
            events[kept++] = events[i];
    }
    return kept;
}

void rig_expect_published(struct rig *rig, int timeout_s)
{
    PGresult *rows = PQexec(rig->pg,
        "SELECT topic, convert_from(key, 'UTF8'), convert_from(payload, 'UTF8'), 'trade-ledger-' || id FROM outbox "
        "WHERE id NOT IN (SELECT id FROM outbox_parked) ORDER BY topic COLLATE \"C\", key, id");
    size_t want = (size_t)PQntuples(rows), count;
    struct rig_event *events = rig_read(rig, want, timeout_s, &count);
    if (rig->options.idempotent)
        count = rig_drop_repeats(events, count);
    struct rig_event **order = xcalloc(count + 1, sizeof(struct rig_event *));

    cr_assert_eq(PQresultStatus(rows), PGRES_TUPLES_OK, "%s", PQerrorMessage(rig->pg));
    cr_assert_eq(count, want, "%zu events in the topics, %zu rows in the outbox", count, want);
    for (size_t i = 0; i < count; i++)
        order[i] = &events[i];
    qsort(order, count, sizeof(struct rig_event *), compare_events);
    for (size_t i = 0; i < count; i++) {
        const int row = (int)i;

        cr_assert_str_eq(order[i]->topic, PQgetvalue(rows, row, 0));
        cr_assert_str_eq(order[i]->key, PQgetvalue(rows, row, 1));
        cr_assert_str_eq(order[i]->id, PQgetvalue(rows, row, 3), "topic %s, key %s: %s where row %s belongs",
            order[i]->topic, order[i]->key, order[i]->id, PQgetvalue(rows, row, 3));
        cr_assert_str_eq(order[i]->payload, PQgetvalue(rows, row, 2));
    }
    xfree(order);
    xfree(events);
    PQclear(rows);
}

void rig_expect_any_bytes(struct rig *rig, int timeout_s)
{
    size_t count;

    rig_sql(rig->pg,
        "INSERT INTO outbox (topic, key, type, payload) SELECT 'orders.accepted.v1', 'k', 't', "
        "decode(string_agg(lpad(to_hex(i), 2, '0'), '' ORDER BY i), 'hex') FROM generate_series(0, 255) AS i");

    struct rig_event *events = rig_read(rig, 1, timeout_s, &count);
    cr_assert_eq(count, 1);
    cr_assert_eq(events[0].byte_count, 256);
    for (size_t i = 0; i < 256; i++)
        cr_expect_eq(events[0].bytes[i], i);
    xfree(events);
}
