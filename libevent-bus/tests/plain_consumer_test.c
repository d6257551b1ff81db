#include "fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

enum { SOON_MS = 4000, FOUND_MS = 60000, QUIET_MS = 500 };

static struct fixture f;

static void close_fixture(void)
{
    fixture_close(&f);
}

TestSuite(plain_consumer, .fini = close_fixture, .timeout = 280);

/* What one consumer has seen. */
struct seen {
    size_t count;
    int64_t least, greatest; /* offsets */
    char last_error[256];
    struct consumer_options options;
    struct consumer *consumer;
};

static bool note(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    struct seen *seen = context;
    (void)e;
    cr_assert(!pg && !outbox);
    for (size_t i = 0; i < count; i++) {
        int64_t offset = deliveries[i].event.offset;
        seen->least = seen->count == 0 || offset < seen->least ? offset : seen->least;
        seen->greatest = seen->count == 0 || offset > seen->greatest ? offset : seen->greatest;
        seen->count++;
    }
    return true;
}

static void note_error(void *context, const struct error *e)
{
    struct seen *seen = context;
    snprintf(seen->last_error, sizeof seen->last_error, "%s", e->message);
}

/* Takes the fixture's options with these changes. */
static void open_plain(struct seen *seen, struct consumer_options changes)
{
    struct error e = { 0 };
    *seen = (struct seen){ .options = f.options };
    seen->options.pg = NULL;
    seen->options.handle = note;
    seen->options.on_error = note_error;
    seen->options.context = seen;
    seen->options.from_end = changes.from_end;
    seen->options.tail = changes.tail;
    if (changes.topics)
        seen->options.topics = changes.topics;
    cr_assert(consumer_open(&seen->options, &seen->consumer, &e), "%s", e.message);
}

static struct consumer_stats stats_of(const struct seen *seen)
{
    struct consumer_stats stats;
    consumer_get_stats(seen->consumer, &stats);
    return stats;
}

/* Polls until `count` events were seen and then nothing more came for a while. Returns the ms until the last of them.
 */
static int64_t read_all(struct seen *seen, size_t count, int64_t within_ms)
{
    int64_t start_us = monotonic_us(), last_us = start_us;
    while (monotonic_us() < start_us + within_ms * 1000) {
        struct error e = { 0 };
        size_t now, before = seen->count;
        cr_assert(consumer_poll(seen->consumer, 20, &now, &e) || error_is(&e, ERROR_TRANSIENT), "%s", e.message);
        if (seen->count > before)
            last_us = monotonic_us();
        if (seen->count >= count && stats_of(seen).lag == 0 && monotonic_us() > last_us + QUIET_MS * 1000)
            break;
    }
    cr_expect_eq(seen->count, count, "%zu of %zu; %s", seen->count, count, seen->last_error);
    return (last_us - start_us) / 1000;
}

Test(plain_consumer, two_of_the_same_name_each_see_everything)
{
    struct seen first, second;
    fixture_open(&f, 4);
    for (int partition = 0; partition < 4; partition++)
        fixture_produce(&f, partition, 50);
    open_plain(&first, (struct consumer_options){ 0 });
    open_plain(&second, (struct consumer_options){ 0 });
    read_all(&first, 200, FOUND_MS);
    read_all(&second, 200, FOUND_MS);
    fixture_produce(&f, 1, 10);
    read_all(&second, 210, FOUND_MS);
    read_all(&first, 210, FOUND_MS);
    consumer_free(first.consumer);
    consumer_free(second.consumer);
}

/* The one before may have died without a word: it is still "alive" here, and stands in nobody's way. */
Test(plain_consumer, a_new_one_sees_everything_at_once)
{
    struct seen silent, next;
    fixture_open(&f, 2);
    fixture_produce(&f, 0, 20);
    open_plain(&silent, (struct consumer_options){ 0 });
    int64_t alone_ms = read_all(&silent, 20, FOUND_MS);
    open_plain(&next, (struct consumer_options){ 0 });
    int64_t took_ms = read_all(&next, 20, FOUND_MS);
    cr_expect(took_ms < SOON_MS + 4 * alone_ms, "%lld ms, alone %lld", (long long)took_ms, (long long)alone_ms);
    consumer_free(silent.consumer);
    consumer_free(next.consumer);
}

Test(plain_consumer, it_starts_where_it_is_told_to)
{
    enum { ALL = 1000 };
    static const struct {
        const char *what;
        bool from_end;
        uint32_t tail;
        size_t back; /* events before the end of each partition */
    } cases[] = {
        { "the beginning", false, 0, ALL },
        { "the end", true, 0, 0 },
        { "a little before the end", false, 3, 3 },
        { "the same, whatever from_end says", true, 3, 3 },
        { "further back than there is", false, ALL, ALL },
    };
    fixture_open(&f, 2);
    fixture_produce(&f, 0, 20);
    fixture_produce(&f, 1, 20);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct seen seen;
        size_t events = f.produced / 2, back = cases[i].back < events ? cases[i].back : events;
        open_plain(&seen, (struct consumer_options){ .from_end = cases[i].from_end, .tail = cases[i].tail });
        read_all(&seen, 2 * back, FOUND_MS);
        cr_expect(
            back == 0 || seen.least == (int64_t)(events - back), "%s: %lld", cases[i].what, (long long)seen.least);
        fixture_produce(&f, 0, 1);
        fixture_produce(&f, 1, 1);
        read_all(&seen, 2 * back + 2, FOUND_MS);
        cr_expect_eq(seen.greatest, (int64_t)events, "%s: %lld", cases[i].what, (long long)seen.greatest);
        consumer_free(seen.consumer);
    }
}

/* Markers take offsets: 3 transactions of one event are 6. */
Test(plain_consumer, a_tail_is_counted_in_offsets)
{
    struct seen seen;
    fixture_open(&f, 1);
    rd_kafka_t *rk = fixture_transactional_producer(&f);
    for (int i = 0; i < 3; i++) {
        cr_assert_null(rd_kafka_begin_transaction(rk));
        fixture_produce_raw(&f, rk, 0, (struct bytes){ "value", 5 },
            (const char *const[]){
                "ce_specversion", "1.0", "ce_id", "x", "ce_source", "/tests", "ce_type", "T", NULL });
        cr_assert_null(rd_kafka_commit_transaction(rk, 30000));
    }
    rd_kafka_destroy(rk);
    open_plain(&seen, (struct consumer_options){ .tail = 4 });
    read_all(&seen, 2, FOUND_MS);
    cr_expect_eq(seen.least, 2);
    consumer_free(seen.consumer);
}

Test(plain_consumer, a_topic_that_is_missing_is_waited_for_and_then_read_from_its_beginning)
{
    struct seen seen;
    char first[KAFKA_TOPIC_MAX];
    fixture_open(&f, 1);
    fixture_produce(&f, 0, 5);
    open_plain(&seen, (struct consumer_options){
                          .topics = (const char *const[]){ "later.v1", FIXTURE_TOPIC, NULL }, .from_end = true });
    cr_expect_eq(stats_of(&seen).missing_topics, 2, "nothing is known yet");
    read_all(&seen, 0, FOUND_MS);
    cr_expect_eq(stats_of(&seen).missing_topics, 1);
    cr_expect(strstr(seen.last_error, "later.v1"), "%s", seen.last_error);
    fixture_produce(&f, 0, 2);
    read_all(&seen, 2, FOUND_MS);

    memcpy(first, f.topic, sizeof first);
    snprintf(f.topic, sizeof f.topic, "%slater.v1", f.prefix);
    fixture_create_topic(&f, f.topic, 2);
    fixture_produce(&f, 0, 3);
    fixture_produce(&f, 1, 3);
    read_all(&seen, 8, FOUND_MS);
    cr_expect_eq(stats_of(&seen).missing_topics, 0);
    consumer_free(seen.consumer);
    fixture_delete_topic(&f, f.topic);
    memcpy(f.topic, first, sizeof first);
}

Test(plain_consumer, partitions_that_are_added_are_found_and_the_old_ones_go_on)
{
    struct seen seen;
    fixture_open(&f, 1);
    fixture_produce(&f, 0, 5);
    open_plain(&seen, (struct consumer_options){ .tail = 2 });
    read_all(&seen, 2, FOUND_MS);
    fixture_add_partitions(&f, 3);
    fixture_produce(&f, 2, 4);
    fixture_produce(&f, 0, 1);
    read_all(&seen, 7, FOUND_MS);
    cr_expect_eq(stats_of(&seen).assigned, 3);
    fixture_produce(&f, 0, 1);
    fixture_produce(&f, 1, 1);
    read_all(&seen, 9, FOUND_MS);
    consumer_free(seen.consumer);
}

static bool dislike_company(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    for (size_t i = 0; i < count; i++)
        if (deliveries[i].event.offset == 3 && count > 1)
            return error_set(e, ERROR_REFUSED, "not in company");
    return note(pg, outbox, deliveries, count, context, e);
}

Test(plain_consumer, a_batch_that_fails_is_halved_and_no_event_is_lost)
{
    struct seen seen;
    fixture_open(&f, 1);
    fixture_produce(&f, 0, 20);
    open_plain(&seen, (struct consumer_options){ 0 });
    seen.options.handle = dislike_company;
    read_all(&seen, 20, FOUND_MS);
    cr_expect_eq(seen.greatest, 19);
    consumer_free(seen.consumer);
}

Test(plain_consumer, where_to_start_is_not_to_be_chosen_by_a_consumer_into_postgres)
{
    struct consumer *consumer;
    struct error e = { 0 };
    fixture_open(&f, 1);
    f.options.tail = 1;
    cr_expect_not(consumer_open(&f.options, &consumer, &e));
    cr_expect_str_eq(e.field, "tail");
    f.options.tail = 0;
    f.options.from_end = true;
    cr_expect_not(consumer_open(&f.options, &consumer, &e));
    cr_expect_str_eq(e.field, "from_end");
}

Test(plain_consumer, closing_ends_even_after_a_topic_was_deleted)
{
    static struct seen seen;
    fixture_open(&f, 2);
    fixture_produce(&f, 0, 10);
    open_plain(&seen, (struct consumer_options){ 0 });
    read_all(&seen, 10, FOUND_MS);
    fixture_delete_topic(&f, f.topic);
    for (int64_t start_us = monotonic_us(); monotonic_us() - start_us < 3000000;) {
        struct error e = { 0 };
        size_t count;
        (void)!consumer_poll(seen.consumer, 100, &count, &e);
    }
    int64_t start_us = monotonic_us();
    consumer_free(seen.consumer);
    cr_expect(monotonic_us() - start_us < 30000000);
    fixture_create_topic(&f, f.topic, 2); /* for the fixture to delete */
}
