/* Interest by hand: figures of the public conventions. */
#include "../../chassis/service.h"
#include "external_file.h"
#include "interest.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>

static int32_t day_of(const char *text)
{
    int32_t day;
    cr_assert(day_parse(text, &day), "%s", text);
    return day;
}

static struct accrued over(
    const char *from, const char *to, int64_t balance, int64_t rate_ppb, enum day_count day_count)
{
    struct accrued accrued = { 0 };
    for (int32_t day = day_of(from); day < day_of(to); day++)
        cr_assert(interest_day(&accrued, balance, rate_ppb, day_count, day));
    return accrued;
}

/* The first four are the worked example of ISDA's memorandum on ACT/ACT: 10,000 at 10 % from 1 November 2003 to 1 May
 * 2004. */
Test(interest, is_what_the_conventions_say)
{
    static const struct {
        const char *from, *to;
        int64_t balance, rate_ppb;
        enum day_count day_count;
        int64_t minor;
    } cases[] = {
        { "2003-11-01", "2004-05-01", 1000000, 100000000, DAY_COUNT_ACT_ACT, 49772 },   /* 61/365 + 121/366: 497.72 */
        { "2003-11-01", "2004-05-01", 1000000, 100000000, DAY_COUNT_30E_360, 50000 },   /* 180/360 */
        { "2003-11-01", "2004-05-01", 1000000, 100000000, DAY_COUNT_ACT_360, 50555 },   /* 182/360: 505.555 */
        { "2003-11-01", "2004-05-01", 1000000, 100000000, DAY_COUNT_ACT_365, 49863 },   /* 182/365: 498.630 */
        { "2026-01-01", "2026-02-01", 100000000, 50000000, DAY_COUNT_ACT_365, 424657 }, /* 31/365 of 50,000 */
        { "2026-01-01", "2026-02-01", 100000000, 50000000, DAY_COUNT_ACT_360, 430555 },
        { "2026-01-01", "2026-02-01", 100000000, 50000000, DAY_COUNT_30E_360, 416666 }, /* 1/12 */
        { "2026-02-01", "2026-03-01", 100000000, 50000000, DAY_COUNT_30E_360, 416666 }, /* 28 days, but a month */
        { "2024-02-01", "2024-03-01", 100000000, 50000000, DAY_COUNT_30E_360, 416666 },
        { "2024-02-01", "2024-03-01", 100000000, 50000000, DAY_COUNT_ACT_ACT, 396174 }, /* 29/366 */
        { "2024-01-01", "2025-01-01", 100000000, 50000000, DAY_COUNT_ACT_ACT, 5000000 },
        { "2023-01-01", "2024-01-01", 100000000, 50000000, DAY_COUNT_ACT_ACT, 5000000 },
        { "2023-01-01", "2024-01-01", 100000000, 50000000, DAY_COUNT_30E_360, 5000000 },
        { "2024-01-01", "2025-01-01", 100000000, 50000000, DAY_COUNT_ACT_365, 5013698 }, /* 366/365 */
        { "2024-01-01", "2025-01-01", 100000000, 50000000, DAY_COUNT_ACT_360, 5083333 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct accrued accrued =
            over(cases[i].from, cases[i].to, cases[i].balance, cases[i].rate_ppb, cases[i].day_count);
        cr_expect(accrued.minor == cases[i].minor, "%s to %s, convention %d: %" PRId64 " and not %" PRId64,
            cases[i].from, cases[i].to, (int)cases[i].day_count, accrued.minor, cases[i].minor);
    }
}

Test(interest, of_whole_years_is_exact_however_small_the_days_are)
{
    for (int day_count = DAY_COUNT_30E_360; day_count <= DAY_COUNT_ACT_ACT; day_count++) {
        struct accrued accrued = over("2023-01-01", "2028-01-01", 1, 200000000, (enum day_count)day_count);
        cr_expect(accrued.minor == 1 && accrued.remainder == 0, "a fifth of a minor unit a year is one in five");
    }
}

Test(interest, a_31st_and_the_end_of_february_count_as_a_month_has_30_days)
{
    static const struct {
        const char *from, *to;
        int days;
    } cases[] = { { "2026-01-30", "2026-01-31", 0 }, { "2026-01-31", "2026-02-01", 1 },
        { "2026-02-28", "2026-03-01", 3 }, { "2024-02-28", "2024-02-29", 1 }, { "2024-02-29", "2024-03-01", 2 },
        { "2026-04-30", "2026-05-01", 1 } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_expect_eq(over(cases[i].from, cases[i].to, 360, 1000000000, DAY_COUNT_30E_360).minor, cases[i].days, "%s",
            cases[i].from);
}

Test(interest, never_wraps_and_pays_nothing_below_zero)
{
    struct accrued accrued = { 0 };
    cr_expect(interest_day(&accrued, -5, 1000000000, DAY_COUNT_ACT_365, 20000) && accrued.minor == 0 &&
              accrued.remainder == 0);
    cr_expect(interest_day(&accrued, INT64_MAX, 1000000000, DAY_COUNT_30E_360, day_of("2026-02-28")));
    cr_expect_eq(accrued.minor, INT64_MAX / 120, "three days of 360 at 100 %%");
    accrued.minor = INT64_MAX;
    cr_expect(!interest_day(&accrued, INT64_MAX, 1000000000, DAY_COUNT_ACT_365, 20000));
}

Test(interest, months_end_where_they_end)
{
    static const char *const last[] = { "2026-01-31", "2026-02-28", "2024-02-29", "2026-12-31" };
    static const char *const others[] = { "2026-01-30", "2024-02-28", "2026-12-01" };
    for (size_t i = 0; i < ARRAY_LEN(last); i++)
        cr_expect(is_last_of_month(day_of(last[i])), "%s", last[i]);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        cr_expect(!is_last_of_month(day_of(others[i])), "%s", others[i]);
}
