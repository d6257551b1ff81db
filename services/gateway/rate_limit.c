/* rate_limit.c -- token buckets, four-way associative. See rate_limit.h. */
#include "rate_limit.h"

#include <string.h>

enum { WAYS = 4, SETS = RATE_LIMIT_CLIENTS_MAX / WAYS };

struct bucket {
    uint64_t client;      /* hash; 0: free */
    int64_t tokens_micro; /* millionths of a token */
    int64_t updated_us;
};

struct rate_limit {
    uint32_t rate_per_second, burst;
    struct bucket buckets[SETS][WAYS];
};

struct rate_limit *rate_limit_new(uint32_t rate_per_second, uint32_t burst)
{
    struct rate_limit *limit = xcalloc(1, sizeof *limit);
    limit->rate_per_second = rate_per_second;
    limit->burst = burst;
    return limit;
}

void rate_limit_free(struct rate_limit *limit)
{
    xfree(limit);
}

/* FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/). Colliding clients share a bucket: harmless. */
static uint64_t hash(const char *text)
{
    uint64_t h = 14695981039346656037u;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return h ? h : 1;
}

static struct bucket *find(struct rate_limit *limit, uint64_t client, int64_t now_us)
{
    struct bucket *set = limit->buckets[client % SETS], *oldest = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].client == client)
            return &set[i];
        if (set[i].updated_us < oldest->updated_us)
            oldest = &set[i];
    }
    *oldest = (struct bucket){ client, (int64_t)limit->burst * 1000000, now_us };
    return oldest;
}

bool rate_limit_take(struct rate_limit *limit, const char *client, int64_t now_us, uint32_t *ret_wait_ms)
{
    if (limit->rate_per_second == 0)
        return true;
    struct bucket *bucket = find(limit, hash(client), now_us);
    int64_t full = (int64_t)limit->burst * 1000000, elapsed_us = now_us - bucket->updated_us;
    int64_t to_full_us = (full - bucket->tokens_micro) / limit->rate_per_second;
    bucket->tokens_micro = elapsed_us > to_full_us ? full : bucket->tokens_micro + elapsed_us * limit->rate_per_second;
    bucket->updated_us = now_us;
    if (bucket->tokens_micro < 1000000) {
        *ret_wait_ms = (uint32_t)((1000000 - bucket->tokens_micro) / limit->rate_per_second / 1000 + 1);
        return false;
    }
    bucket->tokens_micro -= 1000000;
    return true;
}
