/* Several engines on real Kafka: partitions shared out, takeovers from the dead and the paused, partitions on the move.
 */
#include "engine_process.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    POLL_MS = 10,
    SESSION_MS = 2000,       /* so that a busy machine takes nobody for dead */
    TAKEOVER_MAX_MS = 20000, /* the same; what is promised is measured: bench/process/takeover */
};

/* How one of two engines ends. */
enum end { KILLED, PAUSED_IN_A_TRANSACTION };

static void feed_step(struct bench *bench)
{
    flow_feed(bench->flow, flow_fed(bench->flow), flow_fed(bench->flow) + STEP);
}

static void init_two(struct engine_process *a, struct engine_process *b, bool standby)
{
    const char *session_ms = getenv("MATCHING_ENGINE_SESSION_TIMEOUT_MS"); /* bench/process/takeover */

    engine_init(a);
    engine_init(b);
    a->session_ms = b->session_ms = session_ms ? (unsigned)atoi(session_ms) : SESSION_MS;
    a->standby = b->standby = standby;
}

/* Shares the partitions, each warm for those of the other. */
static void wait_for_two(const struct engine_process *a, const struct engine_process *b)
{
    engine_wait_partitions(a, "owner", PARTITIONS / 2);
    engine_wait_partitions(b, "owner", PARTITIONS / 2);
    engine_wait_partitions(a, "standby", PARTITIONS / 2);
    engine_wait_partitions(b, "standby", PARTITIONS / 2);
}

static void wait_until_stopped(const struct engine_process *engine)
{
    int64_t give_up_us = monotonic_us() + DRAIN_TIMEOUT_MS * INT64_C(1000);
    int status = 0;

    while (waitpid(engine->process.pid, &status, WUNTRACED | WNOHANG) == 0 && monotonic_us() < give_up_us)
        usleep(POLL_MS * 1000);
    cr_assert(WIFSTOPPED(status), "the crash point was not reached");
}

/* Until one of these partitions has answered something after `before`. Returns when. */
static int64_t wait_first_output(struct bench *bench, unsigned partitions, const int64_t before[FLOW_PARTITIONS_MAX])
{
    int64_t give_up_us = monotonic_us() + DRAIN_TIMEOUT_MS * INT64_C(1000), now[FLOW_PARTITIONS_MAX];

    while (monotonic_us() < give_up_us) {
        flow_committed(bench->flow, now);
        for (size_t i = 0; i < FLOW_PARTITIONS_MAX; i++)
            if ((partitions >> i & 1) != 0 && now[i] > before[i])
                return monotonic_us();
        usleep(POLL_MS * 1000);
    }
    cr_assert_fail("nobody took over");
    return 0;
}

/* Ends a, which is at work, and measures until b has answered for one of its partitions, then for all. */
static void take_over(struct bench *bench, struct engine_process *a, const struct engine_process *b, enum end end)
{
    static const char *const ends[] = { [KILLED] = "killed", [PAUSED_IN_A_TRANSACTION] = "paused" };
    unsigned partitions = engine_partitions(a, "owner");
    int64_t before[FLOW_PARTITIONS_MAX], began_us, first_us;

    feed_step(bench);
    if (end == KILLED)
        support_process_kill(&a->process);
    else
        wait_until_stopped(a);
    began_us = monotonic_us();
    flow_committed(bench->flow, before);
    feed_step(bench);
    first_us = wait_first_output(bench, partitions, before);
    engine_wait_partitions(b, "owner", PARTITIONS);
    flow_wait_drained(bench->flow, DRAIN_TIMEOUT_MS);
    fprintf(stderr, "owner %s: its partitions' next output after %ld ms, all answered after %ld ms\n", ends[end],
        (first_us - began_us) / 1000, (monotonic_us() - began_us) / 1000);
    cr_assert(first_us - began_us < TAKEOVER_MAX_MS * INT64_C(1000));
}

Test(engine_group, standby_takes_over_from_the_killed_and_from_the_paused_who_is_then_fenced_and_partitions_move)
{
    enum { MOVES = 2, STEPS = 1 + 2 * 2 + 2 * MOVES };
    struct bench bench;
    struct engine_process a, b;

    bench_open(&bench);
    init_two(&a, &b, true);
    flow_add_random(bench.flow, 41, (size_t)STEPS * STEP);
    engine_start_healthy(&a, &bench);
    feed_step(&bench);
    engine_start_healthy(&b, &bench);
    wait_for_two(&a, &b);
    take_over(&bench, &a, &b, KILLED);

    engine_start(&a, &bench, "engine.offsets_sent:1:stop");
    wait_for_two(&a, &b);
    take_over(&bench, &a, &b, PAUSED_IN_A_TRANSACTION);
    kill(a.process.pid, SIGCONT);
    cr_assert(support_process_wait(&a.process, STOP_TIMEOUT_MS) == 1, "it is fenced, and ends");

    for (size_t i = 0; i < MOVES; i++) {
        engine_start_healthy(&a, &bench);
        feed_step(&bench);
        engine_wait_partitions(&a, "owner", PARTITIONS / 2);
        feed_step(&bench);
        cr_assert(support_process_stop(&a.process, STOP_TIMEOUT_MS) == 0);
    }
    bench_feed_all(&bench);
    flow_wait_drained(bench.flow, DRAIN_TIMEOUT_MS);
    flow_check_outputs(bench.flow);
    engine_release(&a);
    engine_release(&b);
}

Test(engine_group, without_a_standby_partitions_are_shared_and_taken_over_too_and_who_was_paused_writes_nothing)
{
    enum { STEPS = 5 };
    struct bench bench;
    struct engine_process a, b;

    bench_open(&bench);
    init_two(&a, &b, false);
    flow_add_random(bench.flow, 21, (size_t)STEPS * STEP);
    engine_start_healthy(&a, &bench);
    feed_step(&bench);
    engine_start_healthy(&b, &bench);
    engine_wait_partitions(&a, "owner", PARTITIONS / 2);
    engine_wait_partitions(&b, "owner", PARTITIONS / 2);
    feed_step(&bench);
    support_process_kill(&b.process);
    feed_step(&bench);
    flow_wait_drained(bench.flow, DRAIN_TIMEOUT_MS);
    cr_assert(engine_partitions(&a, "owner") == (1u << PARTITIONS) - 1);

    feed_step(&bench);
    kill(a.process.pid, SIGSTOP);
    engine_start_healthy(&b, &bench);
    feed_step(&bench);
    flow_wait_drained(bench.flow, DRAIN_TIMEOUT_MS);
    kill(a.process.pid, SIGCONT);
    bench_feed_all(&bench); /* a is fenced, or has seen that it lost its partitions and may have some of them again */
    flow_wait_drained(bench.flow, DRAIN_TIMEOUT_MS);
    flow_check_outputs(bench.flow);
    engine_release(&a);
    engine_release(&b);
}
