#include "jwt_cache.h"

#include <openssl/crypto.h>
#include <pthread.h>

enum { LOCKS = 64 }; /* each guards JWT_CACHE_SETS / LOCKS sets */

struct entry {
    char *token; /* NULL: free */
    size_t len;
    uint64_t generation;
    uint64_t used; /* the set's clock at the last hit */
    struct jwt_verified verified;
};

struct set {
    uint64_t clock;
    struct entry ways[JWT_CACHE_WAYS];
};

struct jwt_cache {
    pthread_mutex_t locks[LOCKS];
    struct set sets[JWT_CACHE_SETS];
};

struct jwt_cache *jwt_cache_new(void)
{
    struct jwt_cache *cache = xcalloc(1, sizeof *cache);
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&cache->locks[i], NULL);
    return cache;
}

void jwt_cache_free(struct jwt_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < JWT_CACHE_SETS; i++) {
        for (size_t way = 0; way < JWT_CACHE_WAYS; way++)
            xfree(cache->sets[i].ways[way].token);
    }
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&cache->locks[i]);
    xfree(cache);
}

/* FNV-1a of the token's end: the signature of a token that was verified is as good as random, and no one can choose it.
 */
static size_t set_of(const char *token, size_t len)
{
    const size_t tail = 24;
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = len > tail ? len - tail : 0; i < len; i++)
        hash = (hash ^ (uint8_t)token[i]) * 0x100000001b3;
    return (size_t)(hash >> 32) % JWT_CACHE_SETS;
}

static bool is_entry_of(const struct entry *entry, const char *token, size_t len)
{
    return entry->token && entry->len == len && CRYPTO_memcmp(entry->token, token, len) == 0;
}

bool jwt_cache_get(
    struct jwt_cache *cache, const char *token, size_t len, uint64_t generation, struct jwt_verified *ret)
{
    if (len > JWT_CACHE_TOKEN_MAX)
        return false;
    size_t index = set_of(token, len);
    struct set *set = &cache->sets[index];
    bool found = false;
    pthread_mutex_lock(&cache->locks[index % LOCKS]);
    for (size_t way = 0; way < JWT_CACHE_WAYS && !found; way++) {
        struct entry *entry = &set->ways[way];
        found = entry->generation == generation && is_entry_of(entry, token, len);
        if (found) {
            entry->used = ++set->clock;
            *ret = entry->verified;
        }
    }
    pthread_mutex_unlock(&cache->locks[index % LOCKS]);
    return found;
}

void jwt_cache_put(
    struct jwt_cache *cache, const char *token, size_t len, uint64_t generation, const struct jwt_verified *verified)
{
    if (len > JWT_CACHE_TOKEN_MAX)
        return;
    size_t index = set_of(token, len);
    struct set *set = &cache->sets[index];
    pthread_mutex_lock(&cache->locks[index % LOCKS]);
    struct entry *victim = &set->ways[0];
    for (size_t way = 0; way < JWT_CACHE_WAYS; way++) {
        struct entry *entry = &set->ways[way];
        if (is_entry_of(entry, token, len)) { /* stale, or put by another thread meanwhile */
            victim = entry;
            break;
        }
        if (entry->used < victim->used) /* a free way has never been used */
            victim = entry;
    }
    xfree(victim->token);
    *victim = (struct entry){
        .token = xstrndup(token, len), .len = len, .generation = generation, .used = ++set->clock, .verified = *verified
    };
    pthread_mutex_unlock(&cache->locks[index % LOCKS]);
}
