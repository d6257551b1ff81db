/* A consumer into Kafka: each input has its effect once, whoever dies, is paused, or has to begin again. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EVENTS_MAX = 4000, READ_MAX_US = 90 * 1000 * 1000, CHILD_MAX_MS = 60000 };

static struct fixture f;
static char out_topic[KAFKA_TOPIC_MAX];

static void open_topics(int partitions)
{
    fixture_open(&f, partitions);
    snprintf(out_topic, sizeof out_topic, "%sout.v1", f.prefix);
}

static void close_topics(void)
{
    fixture_delete_topic(&f, out_topic);
    fixture_close(&f);
}

TestSuite(publish, .fini = close_topics, .timeout = 280);

static void start_child(struct support_process *child, const char *id, const char *crash_at)
{
    char path[SUPPORT_PATH_MAX], env[3][SUPPORT_URL_MAX + 32];
    support_build_path("libevent-bus/tests/publish_child", path);
    snprintf(env[0], sizeof env[0], "KAFKA_BROKERS=%s", f.kafka.brokers);
    snprintf(env[1], sizeof env[1], "TOPIC_PREFIX=%s", f.prefix);
    snprintf(env[2], sizeof env[2], "CRASH_AT=%s", crash_at);
    support_process_start(
        child, (const char *const[]){ path, id, NULL }, (const char *const[]){ env[0], env[1], env[2], NULL });
}

/* Its end is left to be waited for. */
static bool is_running(const struct support_process *child)
{
    siginfo_t info = { 0 };
    cr_assert_eq(waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
    return info.si_pid == 0;
}

/* ---- What came out ---- */

static struct {
    char values[EVENTS_MAX][32], ids[EVENTS_MAX][EVENT_ID_MAX];
    size_t count;
} seen;

static bool collect(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    (void)pg, (void)outbox, (void)context, (void)e;
    for (size_t i = 0; i < count; i++, seen.count++) {
        const struct event *event = &deliveries[i].event;
        cr_assert(seen.count < EVENTS_MAX);
        snprintf(seen.values[seen.count], 32, "%.*s", (int)event->value.len, (const char *)event->value.data);
        snprintf(seen.ids[seen.count], EVENT_ID_MAX, "%s", event->id);
    }
    return true;
}

/* Reads until there are `wanted`, and a little longer. */
static void read_out(size_t wanted)
{
    struct error e = { 0 };
    struct consumer_options options = {
        .kafka = f.kafka, .group = "reader", .topics = (const char *const[]){ "out.v1", NULL }, .handle = collect
    };
    CLEANUP(consumer_free) struct consumer *reader = NULL;
    cr_assert(consumer_open(&options, &reader, &e), "%s", e.message);
    seen.count = 0;
    int64_t end_us = monotonic_us() + READ_MAX_US, enough_us = INT64_MAX;
    while (monotonic_us() < end_us && monotonic_us() < enough_us) {
        size_t count;
        cr_assert(consumer_poll(reader, 100, &count, &e), "%s", e.message);
        if (seen.count >= wanted && enough_us == INT64_MAX)
            enough_us = monotonic_us() + 500000;
    }
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Values are "<partition>-<n>", n counted over all partitions in the order of producing. */
static void expect_each_once_in_order(void)
{
    int last[16], partition, n;
    memset(last, -1, sizeof last);
    cr_assert_eq(seen.count, f.produced, "%zu of %llu", seen.count, (unsigned long long)f.produced);
    for (size_t i = 0; i < seen.count; i++) {
        cr_assert_eq(sscanf(seen.values[i], "%d-%d", &partition, &n), 2);
        cr_assert(n > last[partition], "%s after %d", seen.values[i], last[partition]);
        last[partition] = n;
    }
    qsort(seen.ids, seen.count, sizeof seen.ids[0], compare_ids);
    for (size_t i = 1; i < seen.count; i++)
        cr_assert_str_neq(seen.ids[i - 1], seen.ids[i]);
}

Test(publish, a_kill_at_any_point_leaves_outputs_and_offsets_together_or_neither)
{
    static const char *const kills[] = { "publish.handled:2", "publish.produced:2", "publish.offsets_sent:2",
        "publish.committed:2" };
    struct support_process child;
    open_topics(2);
    fixture_create_topic(&f, out_topic, 1);
    fixture_produce(&f, 0, 300);
    fixture_produce(&f, 1, 300);
    for (size_t i = 0; i < ARRAY_LEN(kills); i++) {
        start_child(&child, "one", kills[i]);
        cr_assert_eq(support_process_wait(&child, CHILD_MAX_MS), 128 + 9, "%s was not reached", kills[i]);
    }
    start_child(&child, "one", "nowhere");
    read_out(600);
    expect_each_once_in_order();
    cr_expect_eq(support_process_stop(&child, CHILD_MAX_MS), 0);
}

Test(publish, a_member_that_wakes_after_another_took_over_adds_nothing)
{
    struct support_process zombie, other;
    open_topics(2);
    fixture_create_topic(&f, out_topic, 1);
    fixture_produce(&f, 0, 200);
    start_child(&zombie, "zombie", "nowhere");
    read_out(200);
    fixture_produce(&f, 0, 600);
    fixture_produce(&f, 1, 600);
    usleep(30000); /* in the middle of it */
    kill(zombie.pid, SIGSTOP);
    start_child(&other, "other", "nowhere");
    read_out(1400); /* the group waits 1.5 s for the zombie; its open transaction is the reader's to wait for */
    kill(zombie.pid, SIGCONT);
    fixture_produce(&f, 0, 100);
    read_out(1500);
    expect_each_once_in_order();
    int status = support_process_stop(&zombie, CHILD_MAX_MS);
    cr_expect(
        status == 0 || status == 3, "%d", status); /* 3: it slept in a transaction, which Kafka has ended for it */
    cr_expect_eq(support_process_stop(&other, CHILD_MAX_MS), 0);
}

Test(publish, two_of_one_transactional_id_are_one_and_the_older_ends)
{
    struct support_process older, newer;
    open_topics(2);
    fixture_create_topic(&f, out_topic, 1);
    fixture_produce(&f, 0, 50);
    start_child(&older, "same", "nowhere");
    read_out(50);
    start_child(&newer, "same", "nowhere");
    for (int i = 0; i < 20 || (i < 600 && is_running(&older)); i++) { /* it notices when it has something to write */
        fixture_produce(&f, i % 2, 2);
        usleep(100000);
    }
    cr_expect_eq(support_process_wait(&older, CHILD_MAX_MS), 3, "fenced");
    read_out(f.produced);
    expect_each_once_in_order();
    cr_expect_eq(support_process_stop(&newer, CHILD_MAX_MS), 0);
}

/* ---- In this process ---- */

static int handled;

static bool copy_once(
    struct pg *pg, struct outbox *outbox, struct delivery *deliveries, size_t count, void *context, struct error *e)
{
    (void)context, (void)e;
    cr_assert_null(pg);
    handled++;
    for (size_t i = 0; i < count; i++) {
        char value[64]; /* another one if it were asked again */
        int len = snprintf(value, sizeof value, "%s/%d", deliveries[i].event.id, handled);
        if (deliveries[i].event.offset == 3)
            error_field(&deliveries[i].verdict, ERROR_REFUSED, "", "amount", "not liked");
        else
            outbox_add_raw(outbox, "out.v1", deliveries[i].event.key, "T", (struct bytes){ value, (size_t)len }, NULL,
                (const char *const[]){ "x-extra", "1", NULL });
    }
    return true;
}

/* Too small, and the broker refuses what is produced. */
static void set_message_max(const char *bytes)
{
    rd_kafka_ConfigResource_t *topic = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, out_topic);
    rd_kafka_ConfigResource_set_config(topic, "max.message.bytes", bytes);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(f.rk);
    rd_kafka_AlterConfigs(f.rk, &topic, 1, NULL, queue);
    rd_kafka_event_t *answer = rd_kafka_queue_poll(queue, 30000);
    cr_assert(answer && !rd_kafka_event_error(answer));
    rd_kafka_event_destroy(answer);
    rd_kafka_queue_destroy(queue);
    rd_kafka_ConfigResource_destroy(topic);
    usleep(500000);
}

Test(publish, after_an_abort_the_same_bytes_are_sent_and_refused_inputs_are_dead_letters)
{
    struct error e = { 0 };
    size_t count, failures = 0;
    char dead_topic[KAFKA_TOPIC_MAX];
    open_topics(1);
    fixture_create_topic(&f, out_topic, 1);
    set_message_max("100");
    fixture_produce(&f, 0, 10);
    f.options.pg = NULL;
    f.options.handle = copy_once;
    f.options.transactional_id = "one";
    f.options.source = "/tests";
    snprintf(dead_topic, sizeof dead_topic, "%sin.v1.test.dead", f.prefix);
    fixture_create_topic(&f, dead_topic, 1);
    CLEANUP(consumer_free) struct consumer *consumer = NULL;
    cr_assert(consumer_open(&f.options, &consumer, &e), "%s", e.message);
    for (int64_t start_us = monotonic_us(); failures < 2 && monotonic_us() - start_us < 40000000;)
        failures += !consumer_poll(consumer, 100, &count, &e);
    cr_assert_eq(failures, 2);
    cr_expect(error_is(&e, ERROR_TRANSIENT), "%s", e.message);
    set_message_max("1048588");
    fixture_drain(consumer, 10);
    read_out(9);
    cr_assert_eq(seen.count, 9);
    cr_expect_eq(handled, 1, "%d", handled);
    cr_expect_str_eq(seen.values[0], "0-0/1");
    cr_expect_str_eq(seen.ids[8], "test-in.v1-0-0-8");
    fixture_delete_topic(&f, dead_topic);
}
