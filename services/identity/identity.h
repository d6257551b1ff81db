/* identity.h -- what the service holds while it runs: made at start, then read by all workers. */
#pragma once

#include "config.h"
#include "login_limiter.h"
#include "password.h"
#include "signing_keys.h"

struct identity {
    const struct settings *settings;
    const char *issuer, *audience; /* of the tokens it signs */
    struct signing_keys *keys;
    struct login_limiter *limiter;
    char absent_hash[PASSWORD_HASH_MAX]; /* checked when there is no such user: that answer must take as long as any
                                            other */
};
