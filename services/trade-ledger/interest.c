#include "interest.h"

#include <assert.h>
#include <time.h>

enum { COMMON_YEAR = 1603080 };

static struct tm civil(int32_t day)
{
    time_t seconds = (time_t)day * 86400;
    struct tm date;
    gmtime_r(&seconds, &date);
    return date;
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days since the year 0 when each month has 30. */
static int64_t day_of_360(int32_t day)
{
    struct tm date = civil(day);
    return (int64_t)date.tm_year * 360 + date.tm_mon * 30 + (date.tm_mday < 30 ? date.tm_mday : 30);
}

bool is_last_of_month(int32_t day)
{
    return civil(day).tm_mon != civil(day + 1).tm_mon;
}

/* The day as a part of a year, in 1,603,080ths. */
static int64_t year_parts(enum day_count day_count, int32_t day)
{
    switch (day_count) {
    case DAY_COUNT_ACT_365:
        return COMMON_YEAR / 365;
    case DAY_COUNT_ACT_360:
        return COMMON_YEAR / 360;
    case DAY_COUNT_30E_360:
        return COMMON_YEAR / 360 * (day_of_360(day + 1) - day_of_360(day));
    case DAY_COUNT_ACT_ACT:
        return COMMON_YEAR / (is_leap(civil(day).tm_year + 1900) ? 366 : 365);
    }
    assert(false);
    return 0;
}

bool interest_day(struct accrued *accrued, int64_t balance, int64_t rate_ppb, enum day_count day_count, int32_t day)
{
    assert(rate_ppb >= 0 && rate_ppb <= 1000000000);
    if (balance <= 0)
        return true;
    /* Below 2^63 × 2^30 × 2^14. */
    __int128 parts = (__int128)balance * rate_ppb * year_parts(day_count, day) + accrued->remainder;
    __int128 minor = accrued->minor + parts / interest_parts;
    if (minor > INT64_MAX)
        return false;
    accrued->minor = (int64_t)minor;
    accrued->remainder = (int64_t)(parts % interest_parts);
    return true;
}
