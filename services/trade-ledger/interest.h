/* interest.h -- what a balance earns in a day, exactly. Pure.
 *
 * A day earns balance × rate × days / year. All conventions' years divide 1,603,080 (= lcm(360, 365, 366)), and a rate
 * is in parts of 10^9, so what a day earns is a whole number of parts of 1,603,080 × 10^9 of a minor unit: whole units
 * are accrued, the parts that remain are carried to the next day. Nothing is rounded until a month is booked, and what
 * is below a minor unit then goes on into the next. */
#pragma once

#include "types.h"

enum day_count {
    DAY_COUNT_ACT_365 = 1,
    DAY_COUNT_ACT_360,
    DAY_COUNT_30E_360, /* each month has 30 days: a 31st earns nothing, the end of February its missing days too */
    DAY_COUNT_ACT_ACT, /* ISDA: a day of a leap year is 1/366, of another 1/365 */
};

static const int64_t interest_parts = 1603080000000000;

struct accrued {
    int64_t minor;
    int64_t remainder; /* parts, below interest_parts */
};

/* Adds a day (since 1970-01-01) at its closing balance; a balance below zero earns nothing. false: it would overflow.
 */
MUST_CHECK bool interest_day(
    struct accrued *accrued, int64_t balance, int64_t rate_ppb, enum day_count day_count, int32_t day);

bool is_last_of_month(int32_t day);
