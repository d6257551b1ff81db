/* What the log says of a source: a line for each change of its state, however often it tries. */
#include "telling.h"

#include "log.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char told[16384];

static int listen_to_stderr(void)
{
    int ends[2];

    cr_assert_eq(pipe(ends), 0);
    cr_assert_geq(dup2(ends[1], STDERR_FILENO), 0);
    close(ends[1]);
    return ends[0];
}

/* The lines since the last time, in told[]; returns how many. */
static size_t lines_told(int fd)
{
    size_t lines = 0;

    log_info("end"); /* so that there is something to read */
    ssize_t len = read(fd, told, sizeof told - 1);
    cr_assert_gt(len, 0);
    told[len] = '\0';
    for (const char *at = told; (at = strchr(at, '\n')); at++)
        lines++;
    return lines - 1;
}

static void fail(struct telling *telling, const char *reason)
{
    struct error e = { .kind = ERROR_TRANSIENT };

    snprintf(e.message, sizeof e.message, "%s", reason);
    telling_failure(telling, &e);
    telling_state(telling, RELAY_BACKING_OFF);
}

/* As relay_run() does. */
static void begin(struct telling *telling)
{
    telling_state(telling, RELAY_STARTING);
    telling_note(telling, false, "stored position: %d rows published so far", 17);
    telling_state(telling, RELAY_ACTIVE);
}

Test(telling, an_hour_of_attempts_is_a_line_for_each_reason_and_one_for_its_end)
{
    struct telling telling = TELLING_INIT("shop");
    int fd = listen_to_stderr();

    begin(&telling);
    telling_success(&telling);
    cr_expect_eq(lines_told(fd), 3, "%s", told);

    for (int attempt = 0; attempt < 120; attempt++) {
        fail(&telling, attempt % 2 ? "init_transactions: timed out" : "init_transactions: all brokers are down");
        telling_state(&telling, RELAY_STARTING);
    }
    cr_expect_eq(lines_told(fd), 2, "%s", told);
    cr_expect(strstr(told, "source shop: backing off: init_transactions: all brokers are down"), "%s", told);
    cr_expect(strstr(told, "\"level\":\"warn\""), "%s", told);

    begin(&telling);
    cr_expect_eq(lines_told(fd), 1, "an attempt that has published nothing is no end: %s", told);
    telling_success(&telling);
    telling_success(&telling);
    telling_state(&telling, RELAY_ACTIVE);
    cr_expect_eq(lines_told(fd), 1, "%s", told);
    cr_expect(strstr(told, "source shop: active, after 120 failures"), "%s", told);
}

Test(telling, the_next_trouble_is_told_anew)
{
    struct telling telling = TELLING_INIT("shop");
    int fd = listen_to_stderr();

    for (int trouble = 0; trouble < 3; trouble++) {
        fail(&telling, "the database is away");
        telling_success(&telling);
        cr_expect_eq(lines_told(fd), 2, "%s", told);
    }
}

Test(telling, two_relays_that_take_turns_in_failing_say_so_once)
{
    struct telling telling = TELLING_INIT("shop");
    int fd = listen_to_stderr();

    for (int turn = 0; turn < 50; turn++) {
        fail(&telling, "all brokers are down");
        telling_state(&telling, RELAY_STANDBY);
        telling_state(&telling, RELAY_STARTING);
    }
    cr_expect_eq(lines_told(fd), 2, "backing off, and standby: %s", told);
}

Test(telling, a_transaction_that_is_repeated_is_told_with_what_and_why_and_then_its_end)
{
    struct telling telling = TELLING_INIT("shop");
    struct error e = { .kind = ERROR_TRANSIENT, .message = "deliver: timed out" };
    int fd = listen_to_stderr();

    begin(&telling);
    lines_told(fd);
    for (int i = 0; i < 5; i++)
        telling_setback(&telling, "a Kafka transaction was aborted and is repeated", &e);
    telling_success(&telling);
    cr_expect_eq(lines_told(fd), 2, "%s", told);
    cr_expect(strstr(told, "aborted and is repeated: deliver: timed out"), "%s", told);
    cr_expect(strstr(told, "active, after 5 failures"), "%s", told);
}

Test(telling, a_pause_and_a_stand_by_are_told_each_time)
{
    struct telling telling = TELLING_INIT("shop");
    int fd = listen_to_stderr();

    for (int i = 0; i < 3; i++) {
        telling_state(&telling, RELAY_PAUSED);
        telling_state(&telling, RELAY_PAUSED);
        telling_state(&telling, RELAY_ACTIVE);
    }
    cr_expect_eq(lines_told(fd), 6, "%s", told);
}
