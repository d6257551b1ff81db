/* Repeats of a relay that works without Kafka's transactions are passed over, whatever dies when. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct fixture f;

static void close_fixture(void)
{
    fixture_close(&f);
}

TestSuite(sequence, .fini = close_fixture, .timeout = 280);

static struct consumer *open_consumer(void)
{
    struct consumer *consumer;
    struct error e = { 0 };
    cr_assert(consumer_open(&f.options, &consumer, &e), "%s", e.message);
    cr_assert(consumer_drop_repeats(consumer, &e), "%s", e.message);
    return consumer;
}

/* "a7 b1 a7": of source /a number 7, … Their ids say the same. */
static void produce(int partition, const char *events)
{
    char source[8] = "/", sequence[24], id[24];
    for (int len; *events; events += len + (events[len] == ' ')) {
        len = (int)strcspn(events, " ");
        source[1] = events[0];
        snprintf(id, sizeof id, "%.*s", len, events);
        snprintf(sequence, sizeof sequence, "%020lld", strtoll(events + 1, NULL, 10));
        fixture_produce_raw(&f, f.rk, partition, (struct bytes){ "value", 5 },
            (const char *const[]){ "ce_specversion", "1.0", "ce_id", id, "ce_source", source, "ce_type",
                "penstock.tests.v1.Thing", "ce_sequence", sequence, NULL });
    }
    fixture_flush(f.rk);
}

static const char *effects(int partition)
{
    static char sql[200];
    snprintf(sql, sizeof sql, "SELECT coalesce(string_agg(id, ' ' ORDER BY nth), '') FROM effects WHERE partition = %d",
        partition);
    return fixture_ask_text(&f, sql);
}

Test(sequence, repeats_are_passed_over_by_partition_and_source_and_over_restarts)
{
    static const uint32_t batches[] = { 500, 3, 1 };
    for (size_t i = 0; i < ARRAY_LEN(batches); i++) {
        if (i > 0)
            fixture_close(&f);
        fixture_open(&f, 2);
        f.options.batch_max = batches[i];
        produce(0, "a1 a2 a5 a2 a5 b1 a1 b1 b2 a6");
        produce(1, "a3 a4 a3 a4");
        CLEANUP(consumer_free) struct consumer *first = open_consumer();
        fixture_drain(first, 14);
        cr_expect_str_eq(effects(0), "a1 a2 a5 b1 b2 a6", "batches of %u", batches[i]);
        cr_expect_str_eq(effects(1), "a3 a4");
        consumer_free(TAKE(first));
        produce(0, "a5 a6 b2 a9 b3 a9");
        CLEANUP(consumer_free) struct consumer *second = open_consumer();
        fixture_drain(second, 6);
        cr_expect_str_eq(effects(0), "a1 a2 a5 b1 b2 a6 a9 b3");
        cr_expect_eq(fixture_ask(&f, "SELECT sum(next_offset) FROM consumer_positions"), 20);
        cr_expect_str_eq(fixture_ask_text(&f, "SELECT string_agg(concat(partition, source, highest), ' ' ORDER BY "
                                              "partition, source) FROM consumer_sequences"),
            "0/a9 0/b3 1/a4");
    }
}

static bool dies_now_and_then(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    static int calls;
    if (calls++ % 2 == 0)
        fixture_execute(&f, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                            "WHERE datname = current_database() AND application_name = 'event-bus-test'");
    return fixture_effects(pg, outbox, deliveries, count, context, e);
}

Test(sequence, what_a_lost_connection_takes_back_is_no_repeat)
{
    fixture_open(&f, 1);
    f.options.batch_max = 4;
    f.options.handle = dies_now_and_then;
    produce(0, "a1 a2 a3 a1 a2 a3 a4 a5 a1 a2 a3 a4 a5 a6");
    CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
    fixture_drain(consumer, 14);
    cr_expect_str_eq(effects(0), "a1 a2 a3 a4 a5 a6");
}

static bool refuses_a2(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    (void)outbox, (void)context;
    for (size_t i = 0; i < count; i++)
        if (strcmp(deliveries[i].event.id, "a2") == 0)
            error_set(&deliveries[i].verdict, ERROR_REFUSED, "not liked");
    return fixture_write(pg, deliveries, count, e);
}

Test(sequence, a_dead_letter_that_comes_again_is_one_dead_letter)
{
    fixture_open(&f, 1);
    f.options.handle = refuses_a2;
    f.options.ordered = true;
    produce(0, "a1 a2 a3 a2 a3 a4");
    CLEANUP(consumer_free) struct consumer *consumer = open_consumer();
    fixture_drain(consumer, 6);
    cr_expect_str_eq(effects(0), "a1");
    cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM outbox"), 1);
    cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM parked_events"), 3, "a2, and a3 and a4 behind it, each once");
}

Test(sequence, who_does_not_ask_for_it_sees_all_and_numbers_that_no_relay_writes_mean_nothing)
{
    static const char *const strange[] = { "", "x", "1x", "-1", "99999999999999999999", "000000000000000000001", "0" };
    fixture_open(&f, 1);
    produce(0, "a7 a7 a1");
    CLEANUP(consumer_free) struct consumer *unasked = NULL;
    struct error e = { 0 };
    cr_assert(consumer_open(&f.options, &unasked, &e), "%s", e.message);
    fixture_drain(unasked, 3);
    cr_expect_str_eq(effects(0), "a7 a7 a1");
    cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM consumer_sequences"), 0);
    consumer_free(TAKE(unasked));
    for (size_t i = 0; i < ARRAY_LEN(strange); i++)
        fixture_produce_raw(&f, f.rk, 0, (struct bytes){ "value", 5 },
            (const char *const[]){ "ce_specversion", "1.0", "ce_id", "strange", "ce_source", "/a", "ce_type",
                "penstock.tests.v1.Thing", "ce_sequence", strange[i], NULL });
    fixture_flush(f.rk);
    CLEANUP(consumer_free) struct consumer *asked = open_consumer();
    fixture_drain(asked, ARRAY_LEN(strange));
    cr_expect_eq(fixture_ask(&f, "SELECT count(*) FROM effects WHERE id = 'strange'"), ARRAY_LEN(strange));
}

static char seen[200];

static bool note(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    (void)pg, (void)outbox, (void)context, (void)e;
    for (size_t i = 0; i < count; i++)
        snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%s ", deliveries[i].event.id);
    return true;
}

Test(sequence, a_plain_consumer_remembers_in_memory_and_one_into_kafka_has_no_place_for_it)
{
    struct error e = { 0 };
    fixture_open(&f, 1);
    f.options.pg = NULL;
    f.options.handle = note;
    f.options.batch_max = 2;
    produce(0, "a1 a2 a1 a2 a3 b1 a3");
    CLEANUP(consumer_free) struct consumer *plain = open_consumer();
    fixture_drain(plain, 7);
    cr_expect_str_eq(seen, "a1 a2 a3 b1 ");
    f.options.transactional_id = "sequence-test";
    f.options.source = "/tests";
    CLEANUP(consumer_free) struct consumer *into_kafka = NULL;
    cr_assert(consumer_open(&f.options, &into_kafka, &e), "%s", e.message);
    cr_assert_not(consumer_drop_repeats(into_kafka, &e));
    cr_expect(error_is(&e, ERROR_INVALID));
}
