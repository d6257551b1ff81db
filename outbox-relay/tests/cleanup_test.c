/* What is remembered for clean-up ripens by its delay. */
#include "cleanup.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void published(struct cleanup *cleanup, const char *text, int64_t at_us)
{
    struct snapshot before;
    struct error e = { 0 };

    cr_assert(snapshot_parse(text, &before, &e));
    cleanup_published(cleanup, &before, at_us);
    snapshot_release(&before);
}

Test(cleanup, nothing_is_deleted_before_the_delay)
{
    struct cleanup cleanup;
    struct error e = { 0 };
    bool more;

    cleanup_init(&cleanup, NULL, 60000000);
    cr_expect(cleanup_step(&cleanup, NULL, 1, &more, &e), "with nothing published there is nothing to do");
    published(&cleanup, "5:5:", 1);
    cr_expect(cleanup_step(&cleanup, NULL, 60000000, &more, &e), "a step without a connection: it must not need one");
    cr_expect_not(more);
    cleanup_release(&cleanup);
}

Test(cleanup, samples_are_few_whatever_the_rate_of_commits)
{
    struct cleanup cleanup;
    char text[40];

    cleanup_init(&cleanup, NULL, 8000000);
    for (int i = 1; i <= 5000; i++) {
        snprintf(text, sizeof text, "%d:%d:", i, i);
        published(&cleanup, text, (int64_t)i * 10000);
    }
    cr_expect_eq(cleanup.sample_count, CLEANUP_SAMPLES_MAX);
    cr_expect_geq(cleanup.samples[1].taken_us - cleanup.samples[0].taken_us, 1000000);
    cleanup_release(&cleanup);
    cr_expect_eq(cleanup.sample_count, 0);
}

/* What was published last before the source fell quiet came too soon after another sample to become one at once. */
Test(cleanup, the_last_rows_of_a_source_that_falls_quiet_are_cleaned_up_too)
{
    struct cleanup cleanup;
    struct error e = { 0 };
    bool more;

    cleanup_init(&cleanup, NULL, 8000000);
    published(&cleanup, "5:5:", 1000000);
    published(&cleanup, "6:6:", 1000001);
    published(&cleanup, "7:7:", 1000002);
    cr_expect_eq(cleanup.sample_count, 1);
    cr_expect(cleanup_step(&cleanup, NULL, 3000000, &more, &e), "nothing is old enough: it must not need a connection");
    cr_assert_eq(cleanup.sample_count, 2);
    cr_expect_eq(cleanup.samples[1].before.xmax, 7);
    cr_expect_eq(cleanup.samples[1].taken_us, 1000002);
    cleanup_release(&cleanup);
}

Test(cleanup, rests_less_the_later_it_is)
{
    static const struct {
        int64_t late_us;
        int factor;
    } cases[] = { { -5000000, 3 }, { 0, 3 }, { 1999999, 3 }, { 2000000, 1 }, { 9999999, 1 }, { 10000000, 0 } };
    struct cleanup cleanup;

    cleanup_init(&cleanup, NULL, 60000000);
    cr_expect_eq(cleanup_rest_factor(&cleanup, 1000000000), 3, "nothing waits");
    published(&cleanup, "5:5:", 1000000);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_expect_eq(cleanup_rest_factor(&cleanup, 61000000 + cases[i].late_us), cases[i].factor, "case %zu", i);
    cleanup_release(&cleanup);
}
