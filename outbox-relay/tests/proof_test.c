/* The two accidents that random kills miss: a relay killed inside a long Kafka transaction, after all delivery reports
 * and before the commit; and the zombie, stopped with a batch in hand, that wakes when another relay has published it.
 *
 * This file is built three times: with the relay as it is, and with one safeguard taken out of it, as -D says, by
 * taking the place of a function when the program is linked (-Wl,--wrap). There the accident must do its harm: else the
 * test would prove nothing.
 *
 *   WITHOUT_FENCING        each process has a transactional.id of its own, so nobody is fenced
 *   POSITION_AT_DELIVERY   the position is stored when all delivery reports are in, outside the transaction of the rows
 */
#include "position_topic.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(WITHOUT_FENCING) || defined(POSITION_AT_DELIVERY)
#define AS_IT_IS 0
#else
#define AS_IT_IS 1
#endif

enum { ROWS = 1000, AFTER = 500 /* rows that come after the accident */, KEYS = 50, TOPICS = 3 };

#define UNUSED __attribute__((unused)) /* in one of the three builds */

UNUSED static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

/* ---- In place of the relay's own ---- */

void __real_crash_point(const char *point);
void __wrap_crash_point(const char *point);
bool __real_kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *e);
bool __wrap_kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *e);
rd_kafka_resp_err_t __real_position_topic_store(struct position_topic *topic, const struct position *position);
rd_kafka_resp_err_t __wrap_position_topic_store(struct position_topic *topic, const struct position *position);

bool __wrap_kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *e)
{
#ifdef WITHOUT_FENCING
    char own[256];

    if (strcmp(name, "transactional.id") == 0) {
        snprintf(own, sizeof own, "%s-%d", value, (int)getpid());
        value = own;
    }
#endif
    return __real_kafka_conf_set(conf, name, value, e);
}

#ifdef POSITION_AT_DELIVERY
static struct position_topic position_topic; /* of a producer without transactions */
static struct position delivered;

rd_kafka_resp_err_t __wrap_position_topic_store(struct position_topic *topic, const struct position *position)
{
    struct error e = { 0 };
    rd_kafka_conf_t *conf;

    if (!position_topic.producer) {
        cr_assert(kafka_conf(topic->kafka, &conf, &e), "%s", e.message);
        position_topic = *topic;
        position_topic.producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
        position_topic.handle = rd_kafka_topic_new(position_topic.producer, topic->name, NULL);
        position_init(&delivered);
    }
    position_copy(position, &delivered);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void all_delivered(void)
{
    cr_assert_eq(__real_position_topic_store(&position_topic, &delivered), RD_KAFKA_RESP_ERR_NO_ERROR);
    cr_assert_eq(rd_kafka_flush(position_topic.producer, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
}
#else
rd_kafka_resp_err_t __wrap_position_topic_store(struct position_topic *topic, const struct position *position)
{
    return __real_position_topic_store(topic, position);
}

static void all_delivered(void)
{
}
#endif

/* STOP_AT: where a relay stops itself, once. */
void __wrap_crash_point(const char *point)
{
    const char *stop_at = getenv("STOP_AT");

    if (strcmp(point, "relay.delivered") == 0)
        all_delivered();
    if (stop_at && strcmp(stop_at, point) == 0) {
        unsetenv("STOP_AT");
        raise(SIGSTOP);
    }
    __real_crash_point(point);
}

/* ---- What has come of the rows ---- */

struct verdict {
    size_t rows, missing, twice, misplaced;
};

/* Once as many events are there as must come. */
static struct verdict judge(struct rig *rig, size_t expected)
{
    struct verdict verdict = { .rows = (size_t)rig_number(rig->pg, "SELECT count(*) FROM outbox") };
    size_t count, ids = (size_t)rig_number(rig->pg, "SELECT max(id) FROM outbox") + 1;
    struct rig_event *events = rig_read(rig, expected, 30, &count);
    unsigned *seen = xcalloc(ids, sizeof *seen);
    uint64_t last[TOPICS][KEYS] = { 0 };

    for (size_t i = 0; i < count; i++) {
        uint64_t id = strtoull(strrchr(events[i].id, '-') + 1, NULL, 10);
        unsigned long key = strtoul(events[i].key + 1, NULL, 10) % KEYS;
        int topic = strcmp(events[i].topic, "orders.accepted.v1") == 0 ? 0
                    : strcmp(events[i].topic, "orders.events.v1") == 0 ? 1
                                                                       : 2;

        cr_assert_lt(id, ids);
        verdict.twice += seen[id]++ > 0;
        verdict.misplaced += id < last[topic][key];
        last[topic][key] = id;
    }
    verdict.missing = verdict.rows + verdict.twice - count;
    xfree(seen);
    xfree(events);
    return verdict;
}

UNUSED static void expect_whole(struct verdict verdict)
{
    cr_assert(verdict.missing == 0 && verdict.twice == 0 && verdict.misplaced == 0,
        "of %zu rows: %zu missing, %zu twice, %zu misplaced", verdict.rows, verdict.missing, verdict.twice,
        verdict.misplaced);
}

/* ---- The accidents ---- */

/* Transactions that no clock ends, so that a slow machine is no safeguard: neither the relay's nor the broker's. */
static void open_patient(struct rig *rig)
{
    rig_open(rig);
    rig->options.transaction_us = 60000000; /* all pages in one */
    rig->options.transaction_timeout_ms = 300000;
}

#ifndef WITHOUT_FENCING
/* The rows after the accident come in any case; when they are there, the relay has passed those of before it. */
static struct verdict killed_inside_a_transaction(void)
{
    struct rig rig;
    struct verdict verdict;
    pid_t pid;

    open_patient(&rig);
    rig_insert_many(&rig, ROWS, ROWS);
    rig_wait_killed(rig_fork_relay(&rig, "relay.delivered"), 30);
    pid = rig_fork_relay(&rig, NULL);
    rig_insert_many(&rig, AFTER, AFTER);
    verdict = judge(&rig, AS_IT_IS ? ROWS + AFTER : AFTER);
    rig_kill(pid, SIGTERM);
    return verdict;
}
#endif

#ifndef POSITION_AT_DELIVERY
static void wait_published(struct rig_relay *relay, uint64_t rows)
{
    for (struct relay_status at = { 0 }; at.published_rows < rows; sleep_ms(20))
        relay_get_status(relay->relay, &at);
}

/* A is stopped at that point of its first transaction and holds the lease; B takes it, publishes what A has in hand,
 * and A wakes. It has done its worst when it waits for the lease again: that is a session more. */
static struct verdict woken_after_a_takeover(const char *stop_at)
{
    static const char lease_sessions[] = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                                         "AND application_name = 'outbox-relay lease'";
    int64_t began_us;
    int status;
    struct rig rig;
    struct rig_relay b;
    struct verdict verdict;
    pid_t a;

    open_patient(&rig);
    rig.options.page_rows = ROWS;
    rig_insert_many(&rig, ROWS, ROWS);
    setenv("STOP_AT", stop_at, 1);
    a = rig_fork_relay(&rig, NULL);
    unsetenv("STOP_AT");
    cr_assert_eq(waitpid(a, &status, WUNTRACED), a);
    cr_assert(WIFSTOPPED(status));

    rig_start_relay(&rig, &b);
    began_us = monotonic_us();
    rig_wait_state(&b, RELAY_ACTIVE, 20);
    printf(
        "B has taken over from A, stopped at %s, in %.2f s\n", stop_at, (double)(monotonic_us() - began_us) / 1000000);
    wait_published(&b, ROWS);

    rig_kill(a, SIGCONT);
    if (AS_IT_IS) {
        rig_wait_number(&rig, lease_sessions, 2, 20);
        cr_assert_eq(waitpid(a, &status, WNOHANG), 0, "A waits for its turn");
        rig_insert_many(&rig, AFTER, AFTER / 10); /* and they do not fence each other in turns */
        wait_published(&b, ROWS + AFTER);
        rig_wait_state(&b, RELAY_ACTIVE, 1);
    }
    verdict = judge(&rig, AS_IT_IS ? ROWS + AFTER : 2 * ROWS);
    rig_kill(a, SIGKILL);
    rig_stop_relay(&b);
    return verdict;
}
#endif

#if AS_IT_IS
Test(relay_proof, killed_after_all_delivery_reports_of_a_long_transaction_it_loses_and_repeats_nothing)
{
    expect_whole(killed_inside_a_transaction());
}

Test(relay_proof, a_zombie_that_had_handed_over_its_batch_publishes_nothing)
{
    expect_whole(woken_after_a_takeover("relay.produced"));
}

Test(relay_proof, a_zombie_that_was_about_to_commit_publishes_nothing)
{
    expect_whole(woken_after_a_takeover("relay.delivered"));
}
#endif

#ifdef WITHOUT_FENCING
Test(relay_proof, without_fencing_the_zombie_publishes_its_batch_again)
{
    struct verdict verdict = woken_after_a_takeover("relay.produced");

    cr_assert_eq(
        verdict.twice, ROWS, "of %zu rows: %zu missing, %zu twice", verdict.rows, verdict.missing, verdict.twice);
}
#endif

#ifdef POSITION_AT_DELIVERY
Test(relay_proof, with_the_position_moved_at_delivery_reports_the_kill_loses_the_transaction)
{
    struct verdict verdict = killed_inside_a_transaction();

    cr_assert_eq(
        verdict.missing, ROWS, "of %zu rows: %zu missing, %zu twice", verdict.rows, verdict.missing, verdict.twice);
}
#endif
