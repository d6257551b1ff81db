/* schedule.h -- when a scheduled transfer is due, and what becomes of one that fails. Pure.
 *
 * Occurrences are counted from the first, so that nothing drifts: a monthly one that begins on the 31st comes on the
 * last day of shorter months and on the 31st of longer ones. One that is refused is tried again an hour later, three
 * times in all; then that occurrence is given up and the next one stands. What was missed while nothing ran is made up.
 */
#pragma once

#include "types.h"

enum schedule_every { EVERY_ONCE = 1, EVERY_DAY, EVERY_WEEK, EVERY_MONTH };
enum schedule_status { SCHEDULE_ACTIVE = 1, SCHEDULE_PAUSED, SCHEDULE_CANCELLED, SCHEDULE_FINISHED };

enum { SCHEDULE_ATTEMPTS_MAX = 3, SCHEDULE_OCCURRENCES_MAX = 100000 };

static const int64_t schedule_retry_us = 3600000000;

struct schedule {
    enum schedule_every every;
    int64_t first_us;
    int64_t occurrence, next_us;
    int32_t attempts;
    enum schedule_status status;
};

int64_t schedule_time(enum schedule_every every, int64_t first_us, int64_t occurrence);

/* After an attempt at the next occurrence. */
void schedule_attempted(struct schedule *schedule, bool made, int64_t now_us);

/* Active again: what came due meanwhile is left out. */
void schedule_resume(struct schedule *schedule, int64_t now_us);
