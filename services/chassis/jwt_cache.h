/* jwt_cache.h -- tokens whose signature was already checked, with their claims: bounded, any thread. Inside the
 * chassis.
 *
 * 4-way set associative; the least recently used entry of a set makes room. An entry is found by the whole token,
 * compared in constant time, and only under the generation of keys it was verified with: raising the generation empties
 * the cache. */
#pragma once

#include "jwt.h"

enum {
    JWT_CACHE_SETS = 1024,
    JWT_CACHE_WAYS = 4,
    JWT_CACHE_TOKEN_MAX = 1024, /* a longer token is verified each time: bounds the cache to 5 MB */
};

/* What a verified token says. */
struct jwt_verified {
    struct jwt_claims claims;
    int64_t not_before_s; /* INT64_MIN if the token has none */
};

struct jwt_cache;
struct jwt_cache *jwt_cache_new(void);
void jwt_cache_free(struct jwt_cache *cache); /* NULL is fine */
MUST_CHECK bool jwt_cache_get(
    struct jwt_cache *cache, const char *token, size_t len, uint64_t generation, struct jwt_verified *ret);
void jwt_cache_put(
    struct jwt_cache *cache, const char *token, size_t len, uint64_t generation, const struct jwt_verified *verified);
