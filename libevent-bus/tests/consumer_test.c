#include "fixture.h"
#include "proxy.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct fixture f;

static void close_fixture(void)
{
    fixture_close(&f);
}

TestSuite(consumer, .fini = close_fixture, .timeout = 280);

static struct consumer *open_consumer(void)
{
    struct consumer *consumer;
    struct error e = { 0 };
    cr_assert(consumer_open(&f.options, &consumer, &e), "%s", e.message);
    return consumer;
}

Test(consumer, every_event_has_its_effect_once_and_in_order)
{
    fixture_open(&f, 4);
    for (int partition = 0; partition < 4; partition++)
        fixture_produce(&f, partition, 700);
    CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
    fixture_drain(consumer, f.produced);
    fixture_expect_exactly_once(&f);
}

Test(consumer, another_start_goes_on_where_the_first_one_stopped)
{
    fixture_open(&f, 2);
    for (int round = 0; round < 3; round++) {
        fixture_produce(&f, round % 2, 10);
        CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
        fixture_drain(consumer, 10);
        fixture_expect_exactly_once(&f);
    }
}

/* ---- Death ---- */

Test(consumer, a_kill_at_any_point_leaves_effects_and_position_together_or_neither)
{
    static const struct {
        const char *crash_at;
        int64_t moved; /* events by which the crash moves the position, at least */
    } kills[] = { { "consumer.handled", 0 }, { "consumer.committed", 1 }, { "consumer.handled:3", 1 },
        { "consumer.committed:3", 3 } };
    int64_t before = 0;
    fixture_open(&f, 2);
    fixture_produce(&f, 0, 1000);
    fixture_produce(&f, 1, 1000);
    for (size_t i = 0; i < sizeof kills / sizeof kills[0]; i++) {
        struct support_process child;
        fixture_start_child(&f, &child, "2000", kills[i].crash_at, NULL);
        cr_assert_eq(support_process_wait(&child, 60000), 128 + 9, "%s was not reached", kills[i].crash_at);
        int64_t effects = fixture_ask(&f, "SELECT count(*) FROM effects");
        cr_expect_eq(
            effects, fixture_ask(&f, "SELECT sum(next_offset) FROM consumer_positions"), "%s", kills[i].crash_at);
        cr_expect(effects - before >= kills[i].moved, "%s", kills[i].crash_at);
        cr_expect(kills[i].moved > 0 || effects == before, "%s", kills[i].crash_at);
        before = effects;
    }
    struct support_process child;
    fixture_start_child(&f, &child, "2000", "nowhere", NULL);
    cr_assert_eq(support_process_wait(&child, 60000), 0);
    fixture_expect_exactly_once(&f);
}

Test(consumer, members_come_and_go_and_nothing_is_lost_or_repeated)
{
    struct support_process first, second, third;
    fixture_open(&f, 4);
    for (int partition = 0; partition < 4; partition++)
        fixture_produce(&f, partition, 500);
    fixture_start_child(&f, &first, "8000", "nowhere", NULL);
    while (fixture_ask(&f, "SELECT count(*) FROM effects") < 100)
        usleep(10000);
    fixture_start_child(&f, &second, "8000", "nowhere", NULL);
    for (int round = 0; round < 4; round++) {
        for (int partition = 0; partition < 4; partition++)
            fixture_produce(&f, partition, 250);
        usleep(300000);
    }
    support_process_kill(&first);
    fixture_start_child(&f, &third, "8000", "nowhere", NULL);
    for (int partition = 0; partition < 4; partition++)
        fixture_produce(&f, partition, 500);
    cr_expect_eq(support_process_stop(&second, 30000), 0);
    while (f.produced < 8000)
        fixture_produce(&f, 3, 250);
    cr_expect_eq(support_process_wait(&third, 60000), 0);
    fixture_expect_exactly_once(&f);
}

/* ---- The database ---- */

#define TERMINATE_CONSUMERS                                                                                            \
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "                                                          \
    "WHERE datname = current_database() AND application_name = 'event-bus-test'"

static bool seldom_killed(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    static int calls;
    if (calls++ % 3 == 1)
        fixture_execute(&f, TERMINATE_CONSUMERS);
    return fixture_effects(pg, outbox, deliveries, count, context, e);
}

Test(consumer, lost_connections_are_survived)
{
    fixture_open(&f, 2);
    fixture_produce(&f, 0, 300);
    fixture_produce(&f, 1, 300);
    f.options.handle = seldom_killed;
    f.options.batch_max = 40;
    CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
    struct consumer_stats stats;
    fixture_drain(consumer, f.produced);
    fixture_expect_exactly_once(&f);
    consumer_get_stats(consumer, &stats);
    cr_expect(stats.retries >= 5, "%llu", (unsigned long long)stats.retries);
}

static void allow_connections(bool allow)
{
    char sql[200];
    snprintf(sql, sizeof sql, "ALTER ROLE %s CONNECTION LIMIT %d", f.database.name, allow ? -1 : 0);
    fixture_execute(&f, sql);
}

Test(consumer, a_database_that_is_away_when_partitions_are_assigned_is_waited_for)
{
    struct error e = { 0 };
    size_t count;
    fixture_open(&f, 2);
    fixture_produce(&f, 0, 100);
    CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
    allow_connections(false);
    fixture_execute(&f, TERMINATE_CONSUMERS);
    int failures = 0;
    for (int64_t start_us = monotonic_us(); failures < 3 && monotonic_us() - start_us < 30000000;)
        failures += !consumer_poll(consumer, 100, &count, &e);
    cr_assert_eq(failures, 3);
    cr_expect(error_is(&e, ERROR_TRANSIENT), "%s", e.message);
    allow_connections(true);
    fixture_drain(consumer, 100);
    fixture_expect_exactly_once(&f);
}

static struct proxy *proxy;
static int commits_cut;

static bool cut_at_commit(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    static int calls;
    bool handled = fixture_effects(pg, outbox, deliveries, count, context, e);
    if (handled &&
        calls++ % 2 == 0) { /* what was queued goes with the commit: its only answer is the one that is cut */
        proxy_set(proxy, PROXY_CUT_AT_ANSWER);
        commits_cut++;
    }
    return handled;
}

static int times_committed;

static void count_commit(void *context)
{
    (void)context;
    times_committed++;
}

Test(consumer, a_commit_whose_answer_is_lost_is_neither_repeated_nor_forgotten)
{
    char dsn[SUPPORT_URL_MAX + 64];
    fixture_open(&f, 2);
    fixture_produce(&f, 0, 100);
    fixture_produce(&f, 1, 100);
    proxy = proxy_new(PQhost(f.admin), PQport(f.admin));
    snprintf(dsn, sizeof dsn, "%s host=127.0.0.1 port=%d sslmode=disable", f.database.url, proxy_port(proxy));
    f.pg.dsn = dsn;
    f.options.handle = cut_at_commit;
    f.options.committed = count_commit;
    f.options.batch_max = 25;
    CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
    struct consumer_stats stats;
    uint64_t done = 0;
    for (int64_t start_us = monotonic_us(); done < f.produced && monotonic_us() - start_us < 60000000;
         done = stats.events) {
        struct error e = { 0 };
        size_t count;
        if (!consumer_poll(consumer, 100, &count, &e)) {
            cr_assert(error_is(&e, ERROR_TRANSIENT), "%s", e.message);
            proxy_set(proxy, PROXY_PASS);
        }
        consumer_get_stats(consumer, &stats);
    }
    fixture_expect_exactly_once(&f);
    cr_expect_eq(done, f.produced, "a batch that was committed is counted");
    cr_expect(commits_cut >= 3, "%d", commits_cut);
    cr_expect_eq(times_committed, (int)stats.batches, "each batch is told of once");
}

/* ---- Another consumer ---- */

static bool overtaken(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    static bool done;
    if (!done)
        fixture_execute(&f, "UPDATE consumer_positions SET next_offset = 30");
    done = true;
    return fixture_effects(pg, outbox, deliveries, count, context, e);
}

Test(consumer, a_zombie_cannot_write_and_reads_on_from_where_the_other_stands)
{
    fixture_open(&f, 1);
    fixture_produce(&f, 0, 100);
    f.options.handle = overtaken;
    CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
    fixture_drain(consumer, 70);
    cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM effects"), 70);
    cr_expect_eq(fixture_ask(&f, "SELECT min(log_offset) FROM effects"), 30);
    cr_expect_eq(fixture_ask(&f, "SELECT next_offset FROM consumer_positions"), 100);
}

static void expect_fatal(const char *meddle, const char *reason)
{
    struct error e = { 0 };
    fixture_open(&f, 1);
    fixture_produce(&f, 0, 10);
    CLEANUP(consumer_free) struct consumer *first = open_consumer();
    fixture_drain(first, 10);
    consumer_free(TAKE(first));
    fixture_execute(&f, meddle);
    CLEANUP(consumer_free) struct consumer *second = open_consumer();
    cr_assert_not(consumer_run(second, &e));
    cr_expect(error_is(&e, ERROR_FATAL));
    cr_expect(strstr(e.message, reason), "%s", e.message);
}

Test(consumer, a_position_of_another_cluster_ends_the_run)
{
    expect_fatal("UPDATE consumer_positions SET cluster_id = 'elsewhere'", "Kafka cluster elsewhere");
}

Test(consumer, a_position_outside_of_the_log_ends_the_run)
{
    expect_fatal("UPDATE consumer_positions SET next_offset = 4711", "outside of the log");
}

/* ---- Kafka transactions ---- */

Test(consumer, only_committed_transactions_are_seen_and_markers_are_stepped_over)
{
    static const char *const headers[] = { "ce_specversion", "1.0", "ce_id", "x", "ce_source", "/tests", "ce_type",
        "penstock.tests.v1.Thing", NULL };
    fixture_open(&f, 1);
    rd_kafka_t *rk = fixture_transactional_producer(&f);
    for (int round = 0; round < 6; round++) {
        cr_assert_null(rd_kafka_begin_transaction(rk));
        for (int i = 0; i < 10; i++)
            fixture_produce_raw(&f, rk, 0, (struct bytes){ round % 2 ? "aborted" : "good", 4 }, headers);
        fixture_flush(rk);
        cr_assert_null(round % 2 ? rd_kafka_abort_transaction(rk, 30000) : rd_kafka_commit_transaction(rk, 30000));
    }
    rd_kafka_destroy(rk);
    CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
    struct consumer_stats stats;
    fixture_drain(consumer, 30);
    cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM effects"), 30);
    cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM effects WHERE (log_offset / 11) % 2 = 1"), 0);
    for (int polls = 0; polls < 100;
         polls++) { /* aborted events and markers lie behind the last event: still "drained" */
        struct error e;
        size_t count;
        cr_assert(consumer_poll(consumer, 50, &count, &e));
        consumer_get_stats(consumer, &stats);
        if (stats.lag == 0)
            break;
    }
    cr_expect_eq(stats.lag, 0);
    cr_expect_eq(stats.events, 30);
}

/* ---- Dead letters ---- */

static const char *dead_header(const char *name, int64_t log_offset)
{
    static char sql[300];
    snprintf(sql, sizeof sql,
        "SELECT headers[array_position(headers, '%s') + 1] FROM outbox WHERE topic = 'in.v1.test.dead' "
        "AND headers[array_position(headers, 'dlq_offset') + 1] = '%lld'",
        name, (long long)log_offset);
    return fixture_ask_text(&f, sql);
}

Test(consumer, poison_becomes_a_dead_letter_with_the_reason_and_the_rest_goes_on)
{
    fixture_open(&f, 1);
    fixture_produce(&f, 0, 3);
    fixture_produce_raw(&f, f.rk, 0, (struct bytes){ "no headers", 10 }, (const char *const[]){ NULL });
    fixture_produce_raw(&f, f.rk, 0, (struct bytes){ "bytes\xff", 6 },
        (const char *const[]){
            "ce_specversion", "1.0", "ce_id", "p\xffq", "ce_source", "/evil", "ce_type", "T", NULL });
    fixture_produce_raw(&f, f.rk, 0, (struct bytes){ NULL, 0 }, (const char *const[]){ "ce_specversion", "0.3", NULL });
    fixture_flush(f.rk);
    fixture_produce(&f, 0, 3);
    CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
    struct consumer_stats stats;
    fixture_drain(consumer, 9);
    consumer_get_stats(consumer, &stats);
    cr_expect_eq(stats.dead_letters, 3);
    cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM effects"), 6);
    cr_expect_eq(fixture_ask(&f, "SELECT next_offset FROM consumer_positions"), 9);
    cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM outbox WHERE topic = 'in.v1.test.dead' AND key = 'key'"), 3);
    cr_expect_str_eq(dead_header("dlq_field", 3), "ce_specversion");
    cr_expect_str_eq(dead_header("dlq_reason", 3), "header ce_specversion is missing");
    cr_expect_str_eq(dead_header("dlq_kind", 3), "invalid");
    cr_expect_str_eq(dead_header("dlq_topic", 3), "in.v1");
    cr_expect_str_eq(dead_header("dlq_partition", 3), "0");
    cr_expect_str_eq(dead_header("dlq_group", 3), "test");
    cr_expect_str_eq(dead_header("dlq_field", 4), "ce_id");
    cr_expect_str_eq(dead_header("dlq_ce_source", 4), "/evil");
    cr_expect_str_eq(dead_header("dlq_field", 5), "ce_id");
    cr_expect_str_eq(fixture_ask_text(&f, "SELECT payload FROM outbox ORDER BY id LIMIT 1"), "\\x6e6f2068656164657273");
    cr_expect_str_eq(fixture_ask_text(&f, "SELECT payload FROM outbox ORDER BY id OFFSET 1"), "\\x6279746573ff");
    cr_expect_str_eq(fixture_ask_text(&f, "SELECT type FROM outbox ORDER BY id OFFSET 1"), "T");
}

static bool refuses_some(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    for (size_t i = 0; i < count; i++) {
        if (deliveries[i].event.offset == 5)
            error_field(&deliveries[i].verdict, ERROR_REFUSED, "", "amount", "the amount \"\xff\" is\tnot liked");
    }
    return fixture_effects(pg, outbox, deliveries, count, context, e);
}

Test(consumer, an_event_with_a_verdict_becomes_a_dead_letter_in_the_same_transaction)
{
    fixture_open(&f, 1);
    fixture_produce(&f, 0, 20);
    f.options.handle = refuses_some;
    CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
    fixture_drain(consumer, 20);
    cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM effects"), 19);
    cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM outbox"), 1);
    cr_expect_str_eq(dead_header("dlq_kind", 5), "refused");
    cr_expect_str_eq(dead_header("dlq_field", 5), "amount");
    cr_expect_str_eq(dead_header("dlq_reason", 5), "the amount \"?\" is?not liked");
    cr_expect_str_eq(dead_header("dlq_ce_id", 5), "0-5");
    cr_expect(strstr(f.last_error, "dead letter in.v1[0]@5"), "%s", f.last_error);
}

static bool chokes_on_two(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    for (size_t i = 0; i < count; i++) {
        if (deliveries[i].event.offset == 77 || deliveries[i].event.offset == 131)
            return error_set(e, ERROR_INVALID, "cannot swallow %s", deliveries[i].event.id);
    }
    return fixture_effects(pg, outbox, deliveries, count, context, e);
}

Test(consumer, the_one_event_that_fails_a_batch_is_found_and_the_others_have_their_effects)
{
    fixture_open(&f, 1);
    fixture_produce(&f, 0, 200);
    f.options.handle = chokes_on_two;
    CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
    struct consumer_stats stats;
    fixture_drain(consumer, 200);
    consumer_get_stats(consumer, &stats);
    cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM effects"), 198);
    cr_expect_eq(fixture_ask(&f, "SELECT count(DISTINCT log_offset) FROM effects"), 198);
    cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM outbox"), 2);
    cr_expect_str_eq(dead_header("dlq_reason", 77), "cannot swallow 0-77");
    cr_expect_str_eq(dead_header("dlq_reason", 131), "cannot swallow 0-131");
    cr_expect(stats.batches + stats.retries < 70, "%llu batches, %llu retries", (unsigned long long)stats.batches,
        (unsigned long long)stats.retries);
    /* and what comes after the hold is read as before */
    fixture_produce(&f, 0, 10);
    fixture_drain(consumer, 210);
    cr_expect_eq(fixture_ask(&f, "SELECT next_offset FROM consumer_positions"), 210);
}

static int passing_failures;

static bool fails_for_a_while(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    if (passing_failures++ < 4)
        return error_set(e, passing_failures % 2 ? ERROR_TRANSIENT : ERROR_CONFLICT, "not now");
    return fixture_effects(pg, outbox, deliveries, count, context, e);
}

Test(consumer, a_passing_failure_is_retried_and_blames_no_event)
{
    fixture_open(&f, 2);
    fixture_produce(&f, 0, 50);
    fixture_produce(&f, 1, 50);
    f.options.handle = fails_for_a_while;
    f.options.batch_max = 10; /* more is there to be fetched while the batch is held */
    CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
    fixture_drain(consumer, 100);
    fixture_expect_exactly_once(&f);
    cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM outbox"), 0);
    fixture_produce(&f, 1, 50);
    fixture_drain(consumer, 150);
    fixture_expect_exactly_once(&f);
}

/* ---- Traces ---- */

static char traces[2][4][TRACEPARENT_LEN + 1]; /* of each attempt, by event */
static int trace_attempts;

static bool remember_traces(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    cr_assert(count == 4 && trace_attempts < 2);
    for (size_t i = 0; i < count; i++) {
        const struct event *event = &deliveries[i].event;
        snprintf(traces[trace_attempts][i], sizeof traces[0][0], "%s", event->traceparent);
        outbox_add_raw(outbox, "out.v1", event->key, event->type, event->value, event->traceparent, NULL);
    }
    if (trace_attempts++ == 0)
        return error_set(e, ERROR_TRANSIENT, "not now");
    return fixture_effects(pg, outbox, deliveries, count, context, e);
}

Test(consumer, an_event_without_a_trace_begins_one_and_the_trace_of_the_others_goes_on)
{
#define GIVEN "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    static const char *const given[] = { "", GIVEN, "00-nonsense", "" };
    fixture_open(&f, 1);
    for (size_t i = 0; i < ARRAY_LEN(given); i++)
        fixture_produce_raw(&f, f.rk, 0, (struct bytes){ "value", 5 },
            (const char *const[]){ "ce_specversion", "1.0", "ce_id", "x", "ce_source", "/tests", "ce_type", "T",
                given[i][0] ? "traceparent" : NULL, given[i], NULL });
    fixture_flush(f.rk);
    f.options.handle = remember_traces;
    CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
    fixture_drain(consumer, 4);
    for (size_t i = 0; i < ARRAY_LEN(given); i++) {
        struct trace trace;
        cr_expect(trace_parse(traces[1][i], &trace), "%zu: %s", i, traces[1][i]);
        cr_expect_str_eq(traces[0][i], traces[1][i], "the second attempt sees the same");
        cr_expect_eq(strcmp(traces[1][i], GIVEN) == 0, i == 1);
    }
    cr_expect_eq(fixture_ask(&f, "SELECT count(DISTINCT traceparent) FROM outbox WHERE traceparent <> ''"), 4);
}
