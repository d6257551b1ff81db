/* login_limiter.h -- slows the guessing of passwords: counts failed logins in fixed windows, by e-mail address and
 * peer, and by e-mail address whoever the peers are: many of them together do not guess faster than that. Any thread;
 * memory is bounded, and the oldest counts make room. The clock is a parameter. */
#pragma once

#include <event_bus/base.h>

enum { LOGIN_LIMITER_SETS = 1024, LOGIN_LIMITER_WAYS = 4 };

struct login_limiter;
/* attempts_max: of one peer; address_attempts_max: of all, for one address. */
struct login_limiter *login_limiter_new(uint32_t attempts_max, uint32_t address_attempts_max, uint32_t window_s);
void login_limiter_free(struct login_limiter *limiter);
DEFINE_CLEANUP(struct login_limiter *, login_limiter_free)

/* Counts an attempt before its password is looked at, so that a hundred at once are not all let through. false: too
 * many; *ret_retry_after_s says when the window ends. */
MUST_CHECK bool login_limiter_try(
    struct login_limiter *limiter, const char *email, const char *peer, int64_t now_s, uint32_t *ret_retry_after_s);
/* The password was right: what this peer got wrong before is forgotten; what others did is not. */
void login_limiter_forget(struct login_limiter *limiter, const char *email, const char *peer);
