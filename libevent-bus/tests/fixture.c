#include "fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WAIT_US = 120 * 1000 * 1000, FLUSH_MS = 30000 };

static void remember_error(void *context, const struct error *e)
{
    struct fixture *f = context;
    snprintf(f->last_error, sizeof f->last_error, "%s", e->message);
}

/* ---- Kafka ---- */

static rd_kafka_t *new_producer(const struct fixture *f, const char *transactional_id)
{
    rd_kafka_conf_t *conf;
    struct error e = { 0 };
    char why[256];
    cr_assert(kafka_conf(&f->kafka, &conf, &e), "%s", e.message);
    if (transactional_id)
        cr_assert(kafka_conf_set(conf, "transactional.id", transactional_id, &e), "%s", e.message);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    cr_assert_not_null(rk, "%s", why);
    return rk;
}

rd_kafka_t *fixture_producer(const struct fixture *f)
{
    return new_producer(f, NULL);
}

rd_kafka_t *fixture_transactional_producer(const struct fixture *f)
{
    rd_kafka_t *rk = new_producer(f, f->topic);
    cr_assert_null(rd_kafka_init_transactions(rk, FLUSH_MS));
    return rk;
}

void fixture_create_topic(struct fixture *f, const char *name, int partitions)
{
    char why[256];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, 1, why, sizeof why);
    cr_assert_not_null(topic, "%s", why);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(f->rk);
    rd_kafka_CreateTopics(f->rk, &topic, 1, NULL, queue);
    rd_kafka_event_t *answer = rd_kafka_queue_poll(queue, FLUSH_MS);
    size_t count;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(answer), &count);
    cr_assert(count == 1 && rd_kafka_topic_result_error(results[0]) == 0, "topic %s was not made", name);
    rd_kafka_event_destroy(answer);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
}

void fixture_add_partitions(struct fixture *f, int partitions)
{
    char why[256];
    rd_kafka_NewPartitions_t *more = rd_kafka_NewPartitions_new(f->topic, (size_t)partitions, why, sizeof why);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(f->rk);
    rd_kafka_CreatePartitions(f->rk, &more, 1, NULL, queue);
    rd_kafka_event_t *answer = rd_kafka_queue_poll(queue, FLUSH_MS);
    cr_assert(answer && !rd_kafka_event_error(answer), "no more partitions");
    rd_kafka_event_destroy(answer);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewPartitions_destroy(more);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(f->rk, f->topic, NULL);
    for (f->partitions = 0; f->partitions < partitions;) { /* until our producer knows */
        const struct rd_kafka_metadata *metadata;
        cr_assert_eq(rd_kafka_metadata(f->rk, 0, topic, &metadata, FLUSH_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
        f->partitions = metadata->topics[0].partition_cnt;
        rd_kafka_metadata_destroy(metadata);
        usleep(20000);
    }
    rd_kafka_topic_destroy(topic);
}

void fixture_delete_topic(struct fixture *f, const char *name)
{
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(f->rk);
    rd_kafka_DeleteTopics(f->rk, &topic, 1, NULL, queue);
    rd_kafka_event_t *answer = rd_kafka_queue_poll(queue, FLUSH_MS);
    if (answer)
        rd_kafka_event_destroy(answer);
    rd_kafka_queue_destroy(queue);
    rd_kafka_DeleteTopic_destroy(topic);
}

void fixture_produce_raw(
    struct fixture *f, rd_kafka_t *rk, int partition, struct bytes value, const char *const *headers)
{
    rd_kafka_headers_t *list = rd_kafka_headers_new(8);
    for (; headers[0]; headers += 2)
        rd_kafka_header_add(list, headers[0], -1, headers[1], -1);
    rd_kafka_resp_err_t code = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(f->topic), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_KEY("key", 3), RD_KAFKA_V_VALUE((void *)value.data, value.len), RD_KAFKA_V_HEADERS(list),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    cr_assert_eq(code, RD_KAFKA_RESP_ERR_NO_ERROR, "%s", rd_kafka_err2str(code));
}

void fixture_flush(rd_kafka_t *rk)
{
    cr_assert_eq(rd_kafka_flush(rk, FLUSH_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
}

void fixture_produce(struct fixture *f, int partition, int count)
{
    for (int i = 0; i < count; i++) {
        char id[EVENT_ID_MAX];
        snprintf(id, sizeof id, "%d-%llu", partition, (unsigned long long)f->produced++);
        fixture_produce_raw(f, f->rk, partition, (struct bytes){ "value", 5 },
            (const char *const[]){ "ce_specversion", "1.0", "ce_id", id, "ce_source", "/tests", "ce_type",
                "penstock.tests.v1.Thing", NULL });
    }
    fixture_flush(f->rk);
}

/* ---- Postgres ---- */

static PGresult *query(struct fixture *f, const char *sql)
{
    PGresult *result = PQexec(f->admin, sql);
    ExecStatusType status = PQresultStatus(result);
    cr_assert(status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK, "%s: %s", sql, PQerrorMessage(f->admin));
    return result;
}

void fixture_execute(struct fixture *f, const char *sql)
{
    PQclear(query(f, sql));
}

const char *fixture_ask_text(struct fixture *f, const char *sql)
{
    static char text[1024];
    PGresult *result = query(f, sql);
    cr_assert(PQntuples(result) > 0, "%s: no rows", sql);
    snprintf(text, sizeof text, "%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    return text;
}

int64_t fixture_ask(struct fixture *f, const char *sql)
{
    return atoll(fixture_ask_text(f, sql));
}

/* ---- All of it ---- */

void fixture_open(struct fixture *f, int partitions)
{
    *f = (struct fixture){ .partitions = partitions, .topics = { FIXTURE_TOPIC, NULL } };
    support_database_open("identity", &f->database);
    snprintf(f->prefix, sizeof f->prefix, "t%016llx-", (unsigned long long)support_random());
    snprintf(f->topic, sizeof f->topic, "%s%s", f->prefix, FIXTURE_TOPIC);
    f->kafka = (struct kafka_options){
        .brokers = support_kafka_brokers(), .topic_prefix = f->prefix, .client_id = "event-bus-test"
    };
    f->pg = (struct pg_options){ .dsn = f->database.url, .application_name = "event-bus-test" };
    f->options = (struct consumer_options){
        .kafka = f->kafka,
        .group = FIXTURE_GROUP,
        .topics = f->topics,
        .handle = fixture_effects,
        .context = f,
        .pg = &f->pg,
        .on_error = remember_error,
    };
    f->rk = new_producer(f, NULL);
    fixture_create_topic(f, f->topic, partitions);
    f->admin = PQconnectdb(f->database.admin_url);
    fixture_execute(f, "SET client_min_messages = warning");
    /* nothing unique: an effect that happens twice is to be seen */
    fixture_execute(f, "CREATE TABLE effects (nth bigserial, partition integer, log_offset bigint, id text)");
    fixture_execute(f, "GRANT SELECT, INSERT ON effects TO public");
    fixture_execute(f, "GRANT USAGE ON SEQUENCE effects_nth_seq TO public");
}

void fixture_close(struct fixture *f)
{
    fixture_delete_topic(f, f->topic);
    rd_kafka_destroy(f->rk);
    PQfinish(f->admin);
}

void fixture_drain(struct consumer *consumer, uint64_t events)
{
    int64_t give_up_us = monotonic_us() + WAIT_US;
    struct consumer_stats stats = { 0 };
    while (stats.events < events) {
        size_t count;
        struct error e = { 0 };
        if (!consumer_poll(consumer, 100, &count, &e)) {
            cr_assert(error_is(&e, ERROR_TRANSIENT), "%s", e.message);
            usleep(20000);
        }
        consumer_get_stats(consumer, &stats);
        cr_assert(monotonic_us() < give_up_us, "%llu of %llu events after %d s", (unsigned long long)stats.events,
            (unsigned long long)events, WAIT_US / 1000000);
    }
}

void fixture_expect_exactly_once(struct fixture *f)
{
    int64_t produced = (int64_t)f->produced;
    cr_expect_eq(fixture_ask(f, "SELECT count(*) FROM effects"), produced);
    cr_expect_eq(fixture_ask(f, "SELECT count(DISTINCT id) FROM effects"), produced);
    cr_expect_eq(fixture_ask(f, "SELECT sum(next_offset) FROM consumer_positions"), produced);
    cr_expect_eq(
        fixture_ask(f, "SELECT count(*) FROM (SELECT log_offset - lag(log_offset) OVER (PARTITION BY partition "
                       "ORDER BY nth) AS step FROM effects) AS s WHERE step <> 1"),
        0, "an effect is out of order");
}

/* ---- Another process ---- */

void fixture_start_child(const struct fixture *f, struct support_process *child, const char *wanted,
    const char *crash_at, const char *refused)
{
    char path[SUPPORT_PATH_MAX], env[4][SUPPORT_URL_MAX + 32];
    support_build_path("libevent-bus/tests/consumer_child", path);
    snprintf(env[0], sizeof env[0], "DATABASE_URL=%s", f->database.url);
    snprintf(env[1], sizeof env[1], "KAFKA_BROKERS=%s", f->kafka.brokers);
    snprintf(env[2], sizeof env[2], "TOPIC_PREFIX=%s", f->prefix);
    snprintf(env[3], sizeof env[3], "CRASH_AT=%s", crash_at);
    support_process_start(child, (const char *const[]){ path, wanted, refused, NULL },
        (const char *const[]){ env[0], env[1], env[2], env[3], NULL });
}
