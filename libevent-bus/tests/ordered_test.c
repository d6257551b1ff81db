/* Later events of a key wait behind its dead letter; a partition that fails waits by itself; another log is refused. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct fixture f;

static void close_fixture(void)
{
    fixture_close(&f);
}

TestSuite(ordered, .fini = close_fixture, .timeout = 280);
TestSuite(delay, .fini = close_fixture, .timeout = 280);
TestSuite(same_log, .fini = close_fixture, .timeout = 280);

static struct consumer *open_consumer(void)
{
    struct consumer *consumer;
    struct error e = { 0 };
    cr_assert(consumer_open(&f.options, &consumer, &e), "%s", e.message);
    return consumer;
}

/* ---- Dead letters and what waits behind them ---- */

static void produce(const char *key, const char *id)
{
    rd_kafka_headers_t *list = rd_kafka_headers_new(4);
    rd_kafka_header_add(list, "ce_specversion", -1, "1.0", -1);
    rd_kafka_header_add(list, "ce_id", -1, id, -1);
    rd_kafka_header_add(list, "ce_source", -1, "/tests", -1);
    rd_kafka_header_add(list, "ce_type", -1, "penstock.tests.v1.Thing", -1);
    rd_kafka_resp_err_t code = rd_kafka_producev(f.rk, RD_KAFKA_V_TOPIC(f.topic), RD_KAFKA_V_PARTITION(0),
        RD_KAFKA_V_KEY(key, key ? strlen(key) : 0), RD_KAFKA_V_VALUE("value", 5), RD_KAFKA_V_HEADERS(list),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    cr_assert_eq(code, RD_KAFKA_RESP_ERR_NO_ERROR);
    fixture_flush(f.rk);
}

static char poison[64]; /* ids that are refused, each with a comma behind it */

static bool refuses_poison(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    (void)outbox, (void)context;
    for (size_t i = 0; i < count; i++) {
        char id[EVENT_ID_MAX + 1];
        snprintf(id, sizeof id, "%s,", deliveries[i].event.id);
        if (strstr(poison, id))
            error_field(&deliveries[i].verdict, ERROR_REFUSED, "", "amount", "%s is not liked", deliveries[i].event.id);
    }
    return fixture_write(pg, deliveries, count, e);
}

static const char *effects_of(const char *prefix)
{
    static char sql[200];
    snprintf(sql, sizeof sql, "SELECT coalesce(string_agg(id, ' ' ORDER BY nth), '') FROM effects WHERE id LIKE '%s%%'",
        prefix);
    return fixture_ask_text(&f, sql);
}

static int64_t parked(void)
{
    return fixture_ask(&f, "SELECT count(*) FROM parked_events");
}

static void poll_until(struct consumer *consumer, const char *sql, int64_t wanted)
{
    struct error e = { 0 };
    for (int64_t start_us = monotonic_us(); fixture_ask(&f, sql) != wanted;) {
        size_t count;
        if (!consumer_poll(consumer, 100, &count, &e))
            cr_assert(error_is(&e, ERROR_TRANSIENT), "%s", e.message);
        cr_assert(monotonic_us() - start_us < 90000000, "%s: still not %lld", sql, (long long)wanted);
    }
}

#define PARKED "SELECT count(*) FROM parked_events"

static void open_ordered(void)
{
    fixture_open(&f, 1);
    f.options.ordered = true;
    f.options.handle = refuses_poison;
    strcpy(poison, "a2,");
    static const char *const ids[] = { "a1", "b1", "a2", "b2", "a3", "c1", "a4", "b3" };
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        produce((char[]){ ids[i][0], 0 }, ids[i]);
}

Test(ordered, later_events_of_the_key_wait_behind_a_dead_letter_and_the_other_keys_go_on)
{
    static const size_t batches[] = { 500, 3, 1 };
    for (size_t i = 0; i < ARRAY_LEN(batches); i++) {
        if (i > 0)
            fixture_close(&f);
        open_ordered();
        f.options.batch_max = (uint32_t)batches[i];
        CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
        fixture_drain(consumer, 8);
        cr_expect_str_eq(effects_of("a"), "a1", "batches of %zu", batches[i]);
        cr_expect_str_eq(effects_of("b"), "b1 b2 b3");
        cr_expect_str_eq(effects_of("c"), "c1");
        cr_expect_eq(parked(), 3);
        cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM outbox"), 1, "what waits is no dead letter");
        cr_expect_str_eq(
            fixture_ask_text(&f, "SELECT reason FROM parked_events WHERE ce_id = 'a2'"), "a2 is not liked");
        cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM parked_events WHERE reason IS NULL"), 2);
        cr_expect_eq(fixture_ask(&f, "SELECT next_offset FROM consumer_positions"), 8);
    }
}

Test(ordered, a_dead_letter_tried_again_goes_before_what_waits_for_it_and_both_before_what_is_new)
{
    open_ordered();
    CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
    fixture_drain(consumer, 8);
    cr_assert_eq(fixture_ask(&f, "SELECT parked_retry('test', 'in.v1', 0, 2)"), 1);
    poll_until(consumer, "SELECT attempts FROM parked_events WHERE ce_id = 'a2'", 1); /* the cause is still there */
    cr_expect_eq(parked(), 3);
    cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM outbox"), 2, "a dead letter again");
    strcpy(poison, "a4,"); /* mended; and another one that waited is refused in its turn */
    cr_assert_eq(fixture_ask(&f, "SELECT parked_retry('test', 'in.v1')"), 1);
    poll_until(consumer, PARKED, 1);
    cr_expect_str_eq(effects_of("a"), "a1 a2 a3");
    produce("a", "a5");
    fixture_drain(consumer, 9);
    cr_expect_str_eq(effects_of("a"), "a1 a2 a3");
    poison[0] = '\0';
    cr_assert_eq(fixture_ask(&f, "SELECT parked_retry('test', 'in.v1', 0)"), 1);
    poll_until(consumer, PARKED, 0);
    produce("a", "a6");
    fixture_drain(consumer, 10);
    cr_expect_str_eq(effects_of("a"), "a1 a2 a3 a4 a5 a6");
    struct consumer_stats stats;
    consumer_get_stats(consumer, &stats);
    cr_expect_eq(stats.dead_letters, 3);
}

Test(ordered, a_dead_letter_that_is_given_up_lets_its_key_go_on_even_at_another_consumer)
{
    open_ordered();
    CLEANUP(consumer_free) struct consumer *first = open_consumer();
    fixture_drain(first, 8);
    consumer_free(TAKE(first));
    produce("a", "a5");
    CLEANUP(consumer_free) struct consumer *second = open_consumer();
    fixture_drain(second, 1);
    cr_expect_eq(parked(), 4);
    cr_expect_eq(fixture_ask(&f, "SELECT parked_drop('test', 'in.v1', 0, 4)"), 0, "a3 only waits");
    cr_expect_eq(fixture_ask(&f, "SELECT parked_drop('test', 'in.v1', 0, 2)"), 1);
    poll_until(second, PARKED, 0);
    cr_expect_str_eq(effects_of("a"), "a1 a3 a4 a5");
}

Test(ordered, without_a_key_nothing_waits_and_an_unreadable_event_can_only_be_dropped)
{
    fixture_open(&f, 1);
    f.options.ordered = true;
    f.options.handle = refuses_poison;
    strcpy(poison, "n1,");
    produce(NULL, "n1");
    produce(NULL, "n2");
    fixture_produce_raw(&f, f.rk, 0, (struct bytes){ "no headers", 10 }, (const char *const[]){ NULL });
    fixture_produce(&f, 0, 1); /* of the same key */
    CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
    fixture_drain(consumer, 4);
    cr_expect_str_eq(effects_of("n"), "n2");
    cr_expect_eq(parked(), 3);
    cr_expect_eq(fixture_ask(&f, "SELECT parked_retry('test', 'in.v1', 0, 2)"), 0);
    poison[0] = '\0';
    cr_expect_eq(fixture_ask(&f, "SELECT parked_retry('test', 'in.v1')"), 1);
    cr_expect_eq(fixture_ask(&f, "SELECT parked_drop('test', 'in.v1', 0, 2)"), 1);
    poll_until(consumer, PARKED, 0);
    cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM effects"), 3);
}

static bool dies_when_retrying(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    static int calls;
    if (!poison[0] && count == 1 && calls++ % 2 == 0)
        fixture_execute(&f, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                            "WHERE datname = current_database() AND application_name = 'event-bus-test'");
    return refuses_poison(pg, outbox, deliveries, count, context, e);
}

Test(ordered, connections_lost_while_parked_events_are_handled_repeat_nothing)
{
    open_ordered();
    f.options.handle = dies_when_retrying;
    CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
    fixture_drain(consumer, 8);
    poison[0] = '\0';
    fixture_ask(&f, "SELECT parked_retry('test', 'in.v1')");
    poll_until(consumer, PARKED, 0);
    cr_expect_str_eq(effects_of("a"), "a1 a2 a3 a4");
}

Test(ordered, a_kill_before_a_parked_event_is_committed_leaves_it_parked_and_it_is_handled_once)
{
    struct support_process child;
    fixture_open(&f, 1);
    fixture_produce(&f, 0, 5);
    fixture_start_child(&f, &child, "2", "nowhere", "0-2");
    cr_assert_eq(support_process_wait(&child, 60000), 0);
    cr_expect_eq(parked(), 3);
    fixture_ask(&f, "SELECT parked_retry('test', 'in.v1')");
    for (int nth = 1; nth <= 2; nth++) {
        char crash_at[32];
        snprintf(crash_at, sizeof crash_at, "consumer.unparked:%d", nth);
        fixture_start_child(&f, &child, "5", crash_at, "none");
        cr_assert_eq(support_process_wait(&child, 60000), 128 + 9, "%s was not reached", crash_at);
        cr_expect_eq(parked(), 4 - nth, "%s", crash_at);
        cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM effects"), 1 + nth, "%s", crash_at);
    }
    fixture_start_child(&f, &child, "5", "nowhere", "none");
    cr_assert_eq(support_process_wait(&child, 60000), 0);
    cr_expect_eq(parked(), 0);
    cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM outbox"), 1, "a kill makes no dead letter");
    fixture_expect_exactly_once(&f);
}

/* ---- A partition that fails ---- */

static bool failing;
static int failures;

static bool partition_0_fails(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    (void)outbox, (void)context;
    for (size_t i = 0; i < count; i++) {
        if (deliveries[i].event.partition == 0 && failing) {
            failures++;
            return error_set(e, ERROR_TRANSIENT, "not now");
        }
    }
    return fixture_write(pg, deliveries, count, e);
}

Test(delay, a_partition_that_fails_waits_by_itself_and_loses_nothing)
{
    fixture_open(&f, 3);
    f.options.handle = partition_0_fails;
    f.options.batch_max = 50;
    failing = true;
    for (int partition = 0; partition < 3; partition++)
        fixture_produce(&f, partition, 200);
    CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
    poll_until(consumer, "SELECT count(*) FROM effects", 400);
    int64_t slowest_us = 0, began_us = monotonic_us();
    for (int i = 0; i < 10; i++) { /* nor is what comes meanwhile held up by each new attempt */
        fixture_produce(&f, 1 + i % 2, 5);
        int64_t start_us = monotonic_us();
        poll_until(consumer, "SELECT count(*) FROM effects", 405 + 5 * i);
        slowest_us = monotonic_us() - start_us > slowest_us ? monotonic_us() - start_us : slowest_us;
    }
    cr_expect(slowest_us < 20000000, "%lld us", (long long)slowest_us);
    struct consumer_partition_stats stats[3];
    cr_assert_eq(consumer_get_partitions(consumer, stats, 3), 3);
    for (size_t i = 0; i < 3; i++) {
        cr_expect_eq(stats[i].failures > 0, stats[i].partition == 0);
        cr_expect_eq(stats[i].lag, stats[i].partition == 0 ? 200 : 0);
        cr_expect_eq(stats[i].lag_us > 500000, stats[i].partition == 0, "%lld", (long long)stats[i].lag_us);
    }
    failing = false;
    fixture_drain(consumer, f.produced);
    fixture_expect_exactly_once(&f);
    cr_expect(failures < 20 + (monotonic_us() - began_us) / 1000000, "%d: there is a back-off", failures);
}

static bool fails_at_random(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    (void)outbox, (void)context;
    if (random() % 3 == 0) {
        size_t at = (size_t)random() % count;
        if (random() % 2)
            return error_set(e, random() % 4 ? ERROR_TRANSIENT : ERROR_CONFLICT, "not now");
        error_set(&deliveries[at].verdict, ERROR_TRANSIENT, "not this now");
    }
    return fixture_write(pg, deliveries, count, e);
}

Test(delay, failures_at_random_on_many_partitions_lose_and_repeat_nothing)
{
    fixture_open(&f, 6);
    f.options.handle = fails_at_random;
    f.options.batch_max = 20;
    srandom((unsigned)support_random());
    for (int partition = 0; partition < 6; partition++)
        fixture_produce(&f, partition, 100);
    CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
    fixture_drain(consumer, 300);
    for (int partition = 0; partition < 6; partition++)
        fixture_produce(&f, partition, 20);
    fixture_drain(consumer, f.produced);
    fixture_expect_exactly_once(&f);
}

static bool one_always_fails(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    (void)outbox, (void)context;
    for (size_t i = 0; i < count; i++)
        if (deliveries[i].event.partition == 0 && deliveries[i].event.offset == 7)
            return error_set(e, ERROR_TRANSIENT, "the bank does not answer");
    return fixture_write(pg, deliveries, count, e);
}

Test(delay, what_fails_for_too_long_becomes_a_dead_letter_where_that_is_wanted)
{
    static const int partition_counts[] = { 1, 2 };
    for (size_t i = 0; i < ARRAY_LEN(partition_counts); i++) {
        if (i > 0)
            fixture_close(&f);
        fixture_open(&f, partition_counts[i]);
        f.options.handle = one_always_fails;
        f.options.retry_max_ms = 1000;
        f.options.retry_then = CONSUMER_DEAD_LETTERS;
        fixture_produce(&f, 0, 20);
        CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
        fixture_drain(consumer, 20);
        cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM effects"), 19);
        cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM effects WHERE log_offset = 7"), 0);
        cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM outbox WHERE topic = 'in.v1.test.dead'"), 1);
        cr_expect(strstr(f.last_error, "the bank does not answer"), "%s", f.last_error);
    }
}

Test(delay, what_fails_for_too_long_ends_the_run_by_default)
{
    struct error e = { 0 };
    fixture_open(&f, 2);
    f.options.handle = one_always_fails;
    f.options.retry_max_ms = 1000;
    fixture_produce(&f, 0, 20);
    CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
    cr_assert_not(consumer_run(consumer, &e));
    cr_expect(error_is(&e, ERROR_FATAL));
    cr_expect(strstr(e.message, "in.v1[0]@7 still fails after"), "%s", e.message);
    cr_expect_eq(fixture_ask(&f, "SELECT next_offset FROM consumer_positions WHERE partition = 0"), 7);
}

/* ---- Another log under the same name ---- */

static void read_and_make_again(int before, int after)
{
    fixture_open(&f, 1);
    fixture_produce(&f, 0, before);
    CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
    fixture_drain(consumer, (uint64_t)before);
    consumer_free(TAKE(consumer));
    fixture_delete_topic(&f, f.topic);
    usleep(500000);
    fixture_create_topic(&f, f.topic, 1);
    rd_kafka_destroy(f.rk); /* it knows the old one */
    f.rk = fixture_producer(&f);
    fixture_produce(&f, 0, after);
}

Test(same_log, a_topic_made_again_is_refused_whether_shorter_as_long_or_longer)
{
    static const int lengths[] = { 0, 5, 10, 30 };
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct error e = { 0 };
        if (i > 0)
            fixture_close(&f);
        read_and_make_again(10, lengths[i]);
        CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
        cr_assert_not(consumer_run(consumer, &e));
        cr_expect(error_is(&e, ERROR_FATAL));
        cr_expect(
            strstr(e.message, lengths[i] < 10 ? "outside of the log" : "made again"), "%d: %s", lengths[i], e.message);
        cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM effects"), 10);
    }
}

Test(same_log, a_position_of_before_this_check_is_taken_as_it_is)
{
    fixture_open(&f, 1);
    fixture_produce(&f, 0, 10);
    CLEANUP(consumer_free) struct consumer *first = open_consumer();
    fixture_drain(first, 10);
    consumer_free(TAKE(first));
    fixture_execute(&f, "UPDATE consumer_positions SET last_offset = NULL, last_digest = NULL");
    fixture_produce(&f, 0, 10);
    CLEANUP(consumer_free) struct consumer *second = open_consumer();
    fixture_drain(second, 10);
    fixture_expect_exactly_once(&f);
    cr_expect_eq(fixture_ask(&f, "SELECT last_offset FROM consumer_positions"), 19);
}

static void delete_records(int64_t before)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, f.topic, 0)->offset = before;
    rd_kafka_DeleteRecords_t *request = rd_kafka_DeleteRecords_new(list);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(f.rk);
    rd_kafka_DeleteRecords(f.rk, &request, 1, NULL, queue);
    rd_kafka_event_t *answer = rd_kafka_queue_poll(queue, 30000);
    cr_assert(answer && !rd_kafka_event_error(answer));
    rd_kafka_event_destroy(answer);
    rd_kafka_queue_destroy(queue);
    rd_kafka_DeleteRecords_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
}

Test(same_log, retention_up_to_the_position_is_no_loss_and_beyond_it_is)
{
    static const int64_t kept_from[] = { 10, 12 };
    for (size_t i = 0; i < ARRAY_LEN(kept_from); i++) {
        struct error e = { 0 };
        if (i > 0)
            fixture_close(&f);
        fixture_open(&f, 1);
        fixture_produce(&f, 0, 10);
        CLEANUP(consumer_free) struct consumer *first = open_consumer();
        fixture_drain(first, 10);
        consumer_free(TAKE(first));
        fixture_produce(&f, 0, 10);
        delete_records(kept_from[i]);
        CLEANUP(consumer_free) struct consumer *second = open_consumer();
        if (kept_from[i] == 10) {
            fixture_drain(second, 10);
            fixture_expect_exactly_once(&f);
        } else {
            cr_assert_not(consumer_run(second, &e));
            cr_expect(strstr(e.message, "outside of the log"), "%s", e.message);
        }
    }
}
