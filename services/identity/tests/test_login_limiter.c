/* login_limiter: counting failures. */
#include "../login_limiter.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { ATTEMPTS = 3, WINDOW_S = 60 };

Test(login_limiter, refuses_after_the_last_attempt_and_says_until_when)
{
    CLEANUP(login_limiter_free) struct login_limiter *limiter = login_limiter_new(ATTEMPTS, 100, WINDOW_S);
    uint32_t retry_after_s = 0;
    for (int i = 0; i < ATTEMPTS; i++)
        cr_expect(login_limiter_try(limiter, "anna", "10.0.0.1", 1000, &retry_after_s));
    cr_expect_not(login_limiter_try(limiter, "anna", "10.0.0.1", 1010, &retry_after_s));
    cr_expect_eq(retry_after_s, 50);
    cr_expect_not(login_limiter_try(limiter, "anna", "10.0.0.1", 1059, &retry_after_s));
    cr_expect_eq(retry_after_s, 1);
    cr_expect(login_limiter_try(limiter, "anna", "10.0.0.1", 1060, &retry_after_s), "a new window");
}

Test(login_limiter, other_addresses_and_other_peers_have_counts_of_their_own)
{
    CLEANUP(login_limiter_free) struct login_limiter *limiter = login_limiter_new(1, 100, WINDOW_S);
    uint32_t retry_after_s = 0;
    cr_expect(login_limiter_try(limiter, "anna", "10.0.0.1", 1000, &retry_after_s));
    cr_expect(login_limiter_try(limiter, "anna", "10.0.0.2", 1000, &retry_after_s));
    cr_expect(login_limiter_try(limiter, "bert", "10.0.0.1", 1000, &retry_after_s));
    cr_expect_not(login_limiter_try(limiter, "anna", "10.0.0.1", 1000, &retry_after_s));
}

Test(login_limiter, a_right_password_forgets_the_wrong_ones)
{
    CLEANUP(login_limiter_free) struct login_limiter *limiter = login_limiter_new(1, 100, WINDOW_S);
    uint32_t retry_after_s = 0;
    for (int i = 0; i < 10; i++) {
        cr_expect(login_limiter_try(limiter, "anna", "10.0.0.1", 1000, &retry_after_s));
        login_limiter_forget(limiter, "anna", "10.0.0.1");
    }
    login_limiter_forget(limiter, "nobody", "10.0.0.9");
}

Test(login_limiter, many_peers_together_are_slowed_too_and_one_right_password_does_not_excuse_the_others)
{
    CLEANUP(login_limiter_free) struct login_limiter *limiter = login_limiter_new(ATTEMPTS, 10, WINDOW_S);
    uint32_t retry_after_s = 0;
    char peer[32];
    for (int i = 0; i < 8; i++) {
        (void)snprintf(peer, sizeof peer, "10.0.0.%d", i);
        cr_expect(login_limiter_try(limiter, "anna", peer, 1000, &retry_after_s));
    }
    cr_expect(login_limiter_try(limiter, "anna", "at home", 1010, &retry_after_s));
    cr_expect(login_limiter_try(limiter, "anna", "at home", 1010, &retry_after_s));
    login_limiter_forget(limiter, "anna", "at home"); /* one wrong, one right */
    cr_expect(login_limiter_try(limiter, "anna", "10.0.1.1", 1020, &retry_after_s));
    cr_expect(login_limiter_try(limiter, "anna", "10.0.1.2", 1020, &retry_after_s));
    cr_expect_not(login_limiter_try(limiter, "anna", "10.0.1.3", 1020, &retry_after_s));
    cr_expect_eq(retry_after_s, 40);
    cr_expect(login_limiter_try(limiter, "bert", "10.0.1.3", 1020, &retry_after_s), "another address");
    cr_expect(login_limiter_try(limiter, "anna", "10.0.1.3", 1060, &retry_after_s), "a new window");
}

Test(login_limiter, a_flood_of_addresses_displaces_the_oldest_and_takes_no_memory)
{
    CLEANUP(login_limiter_free) struct login_limiter *limiter = login_limiter_new(1, 100, WINDOW_S);
    uint32_t retry_after_s = 0;
    size_t refused = 0;
    for (int i = 0; i < 100000; i++) {
        char email[32];
        (void)snprintf(email, sizeof email, "user%d", i);
        refused += !login_limiter_try(limiter, email, "10.0.0.1", 1000 + i / 1000, &retry_after_s);
    }
    cr_expect_eq(refused, 0);
    cr_expect_not(login_limiter_try(limiter, "user99999", "10.0.0.1", 1100, &retry_after_s), "the last is remembered");
}
