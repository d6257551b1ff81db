/* schedule.h -- when a scheduled transfer is due, and what becomes of one that fails. Pure.
 *
 * Occurrences are counted from the first, so that nothing drifts: a monthly one that begins on the 31st comes on the
 * last day of shorter months and on the 31st of longer ones. One that is refused is tried again an hour later, three
 * times in all; then that occurrence is given up and the next one stands. After three given up in a row it is suspended
 * until its owner resumes it; where there is no next one it has failed. What was missed while nothing ran is made up.
 */
#pragma once

#include "types.h"

enum schedule_every { EVERY_ONCE = 1, EVERY_DAY, EVERY_WEEK, EVERY_MONTH };
enum schedule_status {
    SCHEDULE_ACTIVE = PENSTOCK__LEDGER__V1__SCHEDULE_STATUS__SCHEDULE_STATUS_ACTIVE,
    SCHEDULE_PAUSED = PENSTOCK__LEDGER__V1__SCHEDULE_STATUS__SCHEDULE_STATUS_PAUSED,
    SCHEDULE_CANCELLED = PENSTOCK__LEDGER__V1__SCHEDULE_STATUS__SCHEDULE_STATUS_CANCELLED,
    SCHEDULE_FINISHED = PENSTOCK__LEDGER__V1__SCHEDULE_STATUS__SCHEDULE_STATUS_FINISHED,
    SCHEDULE_FAILED = PENSTOCK__LEDGER__V1__SCHEDULE_STATUS__SCHEDULE_STATUS_FAILED,
    SCHEDULE_SUSPENDED = PENSTOCK__LEDGER__V1__SCHEDULE_STATUS__SCHEDULE_STATUS_SUSPENDED,
};

enum { SCHEDULE_ATTEMPTS_MAX = 3, SCHEDULE_FAILURES_MAX = 3, SCHEDULE_OCCURRENCES_MAX = 100000 };

static const int64_t schedule_retry_us = 3600000000;

struct schedule {
    enum schedule_every every;
    int64_t first_us;
    int64_t occurrence, next_us;
    int32_t attempts; /* at the next occurrence, that failed */
    int32_t failures; /* occurrences in a row that were given up */
    enum schedule_status status;
};

int64_t schedule_time(enum schedule_every every, int64_t first_us, int64_t occurrence);

/* After an attempt at the next occurrence. */
void schedule_attempted(struct schedule *schedule, bool made, int64_t now_us);

/* Active again: what came due meanwhile is left out. */
void schedule_resume(struct schedule *schedule, int64_t now_us);
