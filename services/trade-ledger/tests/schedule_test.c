/* When a scheduled transfer is due. */
#include "../../chassis/service.h"
#include "schedule.h"

#include <criterion/criterion.h>
#include <event_bus/event.h>
#include <string.h>

static int64_t at(const char *text)
{
    int64_t us;
    cr_assert(event_time_parse(text, &us), "%s", text);
    return us;
}

Test(schedule, occurrences_are_counted_from_the_first)
{
    static const struct {
        enum schedule_every every;
        const char *first;
        int64_t occurrence;
        const char *due;
    } cases[] = {
        { EVERY_ONCE, "2026-01-31T08:00:00Z", 0, "2026-01-31T08:00:00Z" },
        { EVERY_DAY, "2026-02-28T08:00:00Z", 1, "2026-03-01T08:00:00Z" },
        { EVERY_WEEK, "2026-12-28T08:00:00Z", 1, "2027-01-04T08:00:00Z" },
        { EVERY_MONTH, "2026-01-31T08:00:00.5Z", 1, "2026-02-28T08:00:00.5Z" },
        { EVERY_MONTH, "2026-01-31T08:00:00Z", 2, "2026-03-31T08:00:00Z" },
        { EVERY_MONTH, "2026-01-31T08:00:00Z", 3, "2026-04-30T08:00:00Z" },
        { EVERY_MONTH, "2024-01-30T08:00:00Z", 1, "2024-02-29T08:00:00Z" },
        { EVERY_MONTH, "2026-11-15T23:59:59Z", 2, "2027-01-15T23:59:59Z" },
        { EVERY_MONTH, "2026-12-31T00:00:00Z", 14, "2028-02-29T00:00:00Z" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_expect_eq(schedule_time(cases[i].every, at(cases[i].first), cases[i].occurrence), at(cases[i].due),
            "%s and %d", cases[i].first, (int)cases[i].occurrence);
}

static struct schedule monthly(void)
{
    int64_t first = at("2026-01-31T08:00:00Z");
    return (struct schedule){ .every = EVERY_MONTH, .first_us = first, .next_us = first, .status = SCHEDULE_ACTIVE };
}

Test(schedule, one_that_fails_is_tried_again_and_then_given_up)
{
    struct schedule s = monthly();
    int64_t now = s.next_us;
    for (int attempt = 1; attempt < SCHEDULE_ATTEMPTS_MAX; attempt++) {
        schedule_attempted(&s, false, now);
        cr_expect(s.occurrence == 0 && s.attempts == attempt && s.next_us == now + schedule_retry_us);
        now = s.next_us;
    }
    schedule_attempted(&s, false, now);
    cr_expect(s.occurrence == 1 && s.attempts == 0 && s.next_us == at("2026-02-28T08:00:00Z"), "the next one stands");
    schedule_attempted(&s, true, s.next_us);
    cr_expect(s.occurrence == 2 && s.status == SCHEDULE_ACTIVE);
}

Test(schedule, once_is_finished_when_it_is_made_or_given_up)
{
    struct schedule made = monthly(), failed = monthly();
    made.every = failed.every = EVERY_ONCE;
    schedule_attempted(&made, true, made.next_us);
    cr_expect_eq(made.status, SCHEDULE_FINISHED);
    for (int i = 0; i < SCHEDULE_ATTEMPTS_MAX; i++)
        schedule_attempted(&failed, false, failed.next_us);
    cr_expect_eq(failed.status, SCHEDULE_FAILED);
}

/* Every attempt of `occurrences` fails. */
static void fail_all(struct schedule *s, int occurrences)
{
    for (int i = 0; i < occurrences * SCHEDULE_ATTEMPTS_MAX; i++)
        schedule_attempted(s, false, s->next_us);
}

Test(schedule, is_suspended_after_so_many_failures_in_a_row_and_begins_anew_when_it_is_resumed)
{
    struct schedule s = monthly();
    fail_all(&s, SCHEDULE_FAILURES_MAX - 1);
    cr_expect(s.status == SCHEDULE_ACTIVE && s.failures == SCHEDULE_FAILURES_MAX - 1);
    schedule_attempted(&s, true, s.next_us);
    cr_expect(s.status == SCHEDULE_ACTIVE && s.failures == 0, "one that is made breaks the row");
    fail_all(&s, SCHEDULE_FAILURES_MAX);
    cr_expect_eq(s.status, SCHEDULE_SUSPENDED);
    schedule_resume(&s, s.next_us);
    cr_expect(s.status == SCHEDULE_ACTIVE && s.failures == 0 && s.attempts == 0);
}

Test(schedule, what_came_due_in_a_pause_is_left_out)
{
    struct schedule s = monthly();
    s.status = SCHEDULE_PAUSED;
    schedule_resume(&s, at("2026-03-15T00:00:00Z"));
    cr_expect(s.status == SCHEDULE_ACTIVE && s.occurrence == 2 && s.next_us == at("2026-03-31T08:00:00Z"));
}
