#include <event_bus/repeats.h>

#include <criterion/criterion.h>
#include <stdio.h>

static const int64_t second_us = 1000000;

static struct repeats *fresh(void)
{
    static struct repeats repeats = REPEATS_INIT;
    return &repeats; /* each test is a process of its own */
}

Test(repeats, an_hour_of_the_same_line_is_told_six_times_and_every_one_is_counted)
{
    struct repeats *repeats = fresh();
    uint64_t told = 0, counted = 0, untold = 0;
    for (int64_t s = 0; s < 3600; s++) {
        if (!repeats_tell(repeats, "Connection refused", s * second_us, &untold))
            continue;
        told++;
        counted += 1 + untold;
    }
    cr_expect_eq(told, 6, "%lu", (unsigned long)told); /* after 0, 1, 3, 7, 15, 31 minutes; the next is after 63 */
    cr_expect_eq(counted, 31 * 60 + 1, "%lu", (unsigned long)counted);
    cr_assert(repeats_tell(repeats, "Connection refused", 3780 * second_us, &untold));
    cr_expect_eq(counted + untold, 3600);
}

Test(repeats, what_was_not_seen_for_five_minutes_is_new)
{
    struct repeats *repeats = fresh();
    uint64_t untold = 7;
    cr_assert(repeats_tell(repeats, "away", 0, &untold));
    cr_expect_eq(untold, 0);
    cr_assert_not(repeats_tell(repeats, "away", 30 * second_us, &untold));
    cr_assert(repeats_tell(repeats, "away", 330 * second_us, &untold));
    cr_expect_eq(untold, 0);
    cr_assert_not(repeats_tell(repeats, "away", 360 * second_us, &untold));
}

Test(repeats, lines_are_the_same_if_only_numbers_differ_that_are_no_address)
{
    static const struct {
        const char *first, *second;
        bool same;
    } cases[] = {
        { "Disconnected (after 12ms in state UP)", "Disconnected (after 48211ms in state UP)", true },
        { "1/1 brokers are down", "2/1 brokers are down", true },
        { "Timed out 3 in-flight, 0 retry-queued", "Timed out 1 in-flight, 12 retry-queued", true },
        { "127.0.0.1:9092/1: refused", "127.0.0.1:9093/2: refused", false },
        { "127.0.0.1:9092/bootstrap: refused", "127.0.0.1:9092/1: refused", false },
        { "topic a is gone", "topic b is gone", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct repeats repeats = REPEATS_INIT;
        uint64_t untold;
        cr_assert(repeats_tell(&repeats, cases[i].first, 0, &untold));
        cr_expect_eq(repeats_tell(&repeats, cases[i].second, 1, &untold), !cases[i].same, "%s", cases[i].second);
    }
}

Test(repeats, of_more_lines_than_are_known_the_one_unseen_for_longest_is_forgotten)
{
    struct repeats *repeats = fresh();
    uint64_t untold;
    char line[8] = "line-?";
    for (int i = 0; i < REPEATS_MAX; i++) {
        line[5] = (char)('A' + i);
        cr_assert(repeats_tell(repeats, line, i, &untold));
    }
    cr_assert_not(repeats_tell(repeats, "line-A", 100, &untold)); /* seen again: now B is the oldest */
    cr_assert(repeats_tell(repeats, "one more", 101, &untold));
    cr_expect_not(repeats_tell(repeats, "line-A", 102, &untold));
    cr_expect(repeats_tell(repeats, "line-B", 103, &untold));
}
