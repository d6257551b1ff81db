#include "rate_limit.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(rate_limit, a_burst_passes_then_the_rate_counts)
{
    CLEANUP(rate_limit_free) struct rate_limit *limit = rate_limit_new(10, 3);
    uint32_t wait_ms = 0;
    for (int i = 0; i < 3; i++)
        cr_assert(rate_limit_take(limit, "a", 1000000, &wait_ms));
    cr_assert(!rate_limit_take(limit, "a", 1000000, &wait_ms));
    cr_assert(wait_ms >= 100 && wait_ms <= 101, "%u", wait_ms);
    cr_assert(rate_limit_take(limit, "b", 1000000, &wait_ms), "another client has its own bucket");
    cr_assert(!rate_limit_take(limit, "a", 1099000, &wait_ms));
    cr_assert(rate_limit_take(limit, "a", 1100000, &wait_ms));
}

Test(rate_limit, a_bucket_never_holds_more_than_its_burst)
{
    CLEANUP(rate_limit_free) struct rate_limit *limit = rate_limit_new(1000000, 2);
    uint32_t wait_ms;
    int64_t later = INT64_C(1) << 60;
    cr_assert(rate_limit_take(limit, "a", 0, &wait_ms));
    cr_assert(rate_limit_take(limit, "a", later, &wait_ms));
    cr_assert(rate_limit_take(limit, "a", later, &wait_ms));
    cr_assert(!rate_limit_take(limit, "a", later, &wait_ms));
}

Test(rate_limit, without_a_rate_everything_passes)
{
    CLEANUP(rate_limit_free) struct rate_limit *limit = rate_limit_new(0, 1);
    uint32_t wait_ms;
    for (int i = 0; i < 1000; i++)
        cr_assert(rate_limit_take(limit, "a", 0, &wait_ms));
}

Test(rate_limit, more_clients_than_the_table_holds_still_get_a_burst_each)
{
    CLEANUP(rate_limit_free) struct rate_limit *limit = rate_limit_new(1, 1);
    uint32_t wait_ms;
    for (int i = 0; i < 2 * RATE_LIMIT_CLIENTS_MAX; i++) {
        char client[32];
        snprintf(client, sizeof client, "user:%d", i);
        cr_assert(rate_limit_take(limit, client, i, &wait_ms));
    }
}
