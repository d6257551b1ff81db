#include "schedule.h"

#include <time.h>

static const int64_t day_us = 86400000000;

static int64_t months_later(int64_t first_us, int64_t months)
{
    time_t seconds = first_us / 1000000;
    struct tm date, end;
    gmtime_r(&seconds, &date);
    int64_t month = date.tm_mon + months;
    end = (struct tm){ .tm_year = date.tm_year + (int)(month / 12),
        .tm_mon = (int)(month % 12) + 1 }; /* day 0: the last */
    timegm(&end);
    date.tm_year += (int)(month / 12);
    date.tm_mon = (int)(month % 12);
    if (date.tm_mday > end.tm_mday)
        date.tm_mday = end.tm_mday;
    return (int64_t)timegm(&date) * 1000000 + first_us % 1000000;
}

int64_t schedule_time(enum schedule_every every, int64_t first_us, int64_t occurrence)
{
    switch (every) {
    case EVERY_ONCE:
        break;
    case EVERY_DAY:
        return first_us + occurrence * day_us;
    case EVERY_WEEK:
        return first_us + occurrence * 7 * day_us;
    case EVERY_MONTH:
        return months_later(first_us, occurrence);
    }
    return first_us;
}

static void go_on(struct schedule *schedule)
{
    schedule->attempts = 0;
    schedule->occurrence++;
    if (schedule->every == EVERY_ONCE || schedule->occurrence >= SCHEDULE_OCCURRENCES_MAX)
        schedule->status = SCHEDULE_FINISHED;
    else
        schedule->next_us = schedule_time(schedule->every, schedule->first_us, schedule->occurrence);
}

void schedule_attempted(struct schedule *schedule, bool made, int64_t now_us)
{
    if (!made && ++schedule->attempts < SCHEDULE_ATTEMPTS_MAX) {
        schedule->next_us = now_us + schedule_retry_us;
        return;
    }
    schedule->failures = made ? 0 : schedule->failures + 1;
    go_on(schedule);
    if (!made && schedule->status == SCHEDULE_FINISHED)
        schedule->status = SCHEDULE_FAILED;
    else if (schedule->failures >= SCHEDULE_FAILURES_MAX)
        schedule->status = SCHEDULE_SUSPENDED;
}

void schedule_resume(struct schedule *schedule, int64_t now_us)
{
    schedule->status = SCHEDULE_ACTIVE;
    schedule->failures = 0;
    while (schedule->status == SCHEDULE_ACTIVE && schedule->every != EVERY_ONCE &&
           schedule_time(schedule->every, schedule->first_us, schedule->occurrence) < now_us)
        go_on(schedule);
    if (schedule->status == SCHEDULE_ACTIVE)
        schedule->next_us = schedule_time(schedule->every, schedule->first_us, schedule->occurrence);
}
