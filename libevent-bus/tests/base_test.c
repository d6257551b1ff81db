#include <event_bus/base.h>

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    const char *crash_at; /* NULL: not set */
    int visits_survived;  /* of the five visits to "relay.published"; 5: no crash */
} crash_cases[] = {
    { NULL, 5 },
    { "", 5 },
    { "relay.published", 0 },
    { "relay.published:1", 0 },
    { "relay.published:3", 2 },
    { "relay.published:6", 5 },
    { "relay.publish", 5 },
    { "relay.published.twice", 5 },
    { "relay.published:4,engine.elsewhere:3", 2 },
    { "relay.published:2,engine.elsewhere:3", 1 },
    { "relay.elsewhere,,relay.published:3,", 2 },
    { "relay.publish,ed:1", 5 },
};

Test(base, a_crash_point_kills_at_the_visit_that_was_asked_for)
{
    for (size_t i = 0; i < ARRAY_LEN(crash_cases); i++) {
        int pipe_fds[2];
        cr_assert_eq(pipe(pipe_fds), 0);
        pid_t pid = fork();
        if (pid == 0) {
            unsetenv("CRASH_AT");
            if (crash_cases[i].crash_at)
                setenv("CRASH_AT", crash_cases[i].crash_at, 1);
            for (int visit = 0; visit < 5; visit++) {
                crash_point("engine.elsewhere");
                crash_point("relay.published");
                (void)!write(pipe_fds[1], "x", 1);
            }
            _exit(0);
        }
        close(pipe_fds[1]);
        int status = 0, survived = 0;
        char visit;
        while (read(pipe_fds[0], &visit, 1) == 1)
            survived++;
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        close(pipe_fds[0]);
        cr_assert_eq(survived, crash_cases[i].visits_survived, "case %zu: %s", i, crash_cases[i].crash_at);
        bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        cr_assert_eq(killed, survived < 5, "case %zu", i);
    }
}

Test(base, a_crash_point_pauses_where_that_was_asked_for)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        setenv("CRASH_AT", "relay.published:2:stop", 1);
        for (int visit = 0; visit < 3; visit++)
            crash_point("relay.published");
        _exit(7);
    }
    cr_assert_eq(waitpid(pid, &status, WUNTRACED), pid);
    cr_assert(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    kill(pid, SIGCONT);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7, "it goes on, and pauses once");
}

static int released;

static void count_release(char *text)
{
    released++;
    xfree(text);
}
DEFINE_CLEANUP(char *, count_release)

static char *hand_on(bool give)
{
    CLEANUP(count_release) char *text = xstrdup("text");
    return give ? TAKE(text) : NULL;
}

Test(base, cleanup_releases_what_was_not_taken)
{
    char *taken = hand_on(true);
    cr_assert_str_eq(taken, "text");
    cr_assert_eq(released, 0);
    xfree(taken);
    cr_assert_null(hand_on(false));
    cr_assert_eq(released, 1);
}

Test(base, memory_of_no_size_is_still_memory)
{
    CLEANUP(xfree) char *none = xmalloc(0);
    CLEANUP(xfree) char *zero = xcalloc(0, 8);
    CLEANUP(xfree) char *cut = xstrndup("abcdef", 3);
    CLEANUP(xfree) char *printed = xasprintf("%d-%s", 1, "x");
    cr_assert(none && zero);
    cr_assert_str_eq(cut, "abc");
    cr_assert_str_eq(printed, "1-x");
    none = xrealloc(none, 100);
    memset(none, 1, 100);
}

/* So that the next test sees malloc() fail under AddressSanitizer too, which by itself would end the process its own
 * way. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

Test(base, running_out_of_memory_ends_the_process, .signal = SIGABRT)
{
    volatile size_t huge = SIZE_MAX / 4;
    xfree(xmalloc(huge));
}

Test(base, clocks_are_microseconds)
{
    int64_t wall = now_us(), steady = monotonic_us();
    usleep(20000);
    cr_assert_geq(monotonic_us() - steady, 20000);
    cr_assert_lt(monotonic_us() - steady, 10000000);
    cr_assert_gt(now_us(), wall);
    cr_assert_gt(wall, INT64_C(1700000000000000));
}
