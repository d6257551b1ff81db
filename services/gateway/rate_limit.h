/* rate_limit.h -- a token bucket for each client, in a bounded table. One thread; the clock is a parameter.
 * When the table is full the bucket that was idle longest among a few candidates is reused: a client can gain at most
 * one burst. */
#pragma once

#include <event_bus/base.h>

enum { RATE_LIMIT_CLIENTS_MAX = 65536 };

struct rate_limit;

/* rate_per_second 0: everything is allowed. */
struct rate_limit *rate_limit_new(uint32_t rate_per_second, uint32_t burst);
void rate_limit_free(struct rate_limit *limit);
DEFINE_CLEANUP(struct rate_limit *, rate_limit_free)

/* Takes one token of `client`. false: none left; *ret_wait_ms is when the next will be there. */
MUST_CHECK bool rate_limit_take(struct rate_limit *limit, const char *client, int64_t now_us, uint32_t *ret_wait_ms);
