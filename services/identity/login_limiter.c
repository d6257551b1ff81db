#include "login_limiter.h"

#include <pthread.h>
#include <sodium.h>
#include <string.h>

struct entry {
    uint64_t key;          /* keyed hash of address and peer, or address: no one can choose who shares an entry */
    int64_t window_ends_s; /* 0: free */
    uint32_t attempts;
};

struct login_limiter {
    uint32_t attempts_max, address_attempts_max, window_s;
    uint8_t hash_key[crypto_shorthash_KEYBYTES];
    pthread_mutex_t lock;
    struct entry sets[LOGIN_LIMITER_SETS][LOGIN_LIMITER_WAYS];
};

struct login_limiter *login_limiter_new(uint32_t attempts_max, uint32_t address_attempts_max, uint32_t window_s)
{
    struct login_limiter *limiter = xcalloc(1, sizeof *limiter);
    limiter->attempts_max = attempts_max;
    limiter->address_attempts_max = address_attempts_max;
    limiter->window_s = window_s;
    randombytes_buf(limiter->hash_key, sizeof limiter->hash_key);
    pthread_mutex_init(&limiter->lock, NULL);
    return limiter;
}

void login_limiter_free(struct login_limiter *limiter)
{
    if (!limiter)
        return;
    pthread_mutex_destroy(&limiter->lock);
    xfree(limiter);
}

static uint64_t key_of(const struct login_limiter *limiter, const char *email, const char *peer)
{
    CLEANUP(xfree) char *text = xasprintf("%s\n%s", email, peer);
    uint64_t key = 0;
    _Static_assert(sizeof key == crypto_shorthash_BYTES, "the hash fills the key");
    (void)crypto_shorthash((uint8_t *)&key, (const uint8_t *)text, strlen(text), limiter->hash_key);
    return key;
}

/* The entry of this key, or else the one to give up for it: free, or the one that ends first. */
static struct entry *find(struct login_limiter *limiter, uint64_t key)
{
    struct entry *set = limiter->sets[key % LOGIN_LIMITER_SETS];
    struct entry *oldest = &set[0];
    for (size_t way = 0; way < LOGIN_LIMITER_WAYS; way++) {
        if (set[way].window_ends_s != 0 && set[way].key == key)
            return &set[way];
        if (set[way].window_ends_s < oldest->window_ends_s)
            oldest = &set[way];
    }
    return oldest;
}

/* The entry of this key, begun anew if its window has ended. */
static struct entry *current(struct login_limiter *limiter, uint64_t key, int64_t now_s)
{
    struct entry *entry = find(limiter, key);
    if (entry->key != key || now_s >= entry->window_ends_s)
        *entry = (struct entry){ .key = key, .window_ends_s = now_s + limiter->window_s };
    return entry;
}

static bool count(
    struct login_limiter *limiter, uint64_t key, uint32_t attempts_max, int64_t now_s, uint32_t *ret_retry_after_s)
{
    struct entry *entry = current(limiter, key, now_s);
    if (entry->attempts >= attempts_max) {
        *ret_retry_after_s = (uint32_t)(entry->window_ends_s - now_s);
        return false;
    }
    entry->attempts++;
    return true;
}

bool login_limiter_try(
    struct login_limiter *limiter, const char *email, const char *peer, int64_t now_s, uint32_t *ret_retry_after_s)
{
    uint64_t of_peer = key_of(limiter, email, peer), of_address = key_of(limiter, email, "");
    pthread_mutex_lock(&limiter->lock);
    bool allowed = count(limiter, of_peer, limiter->attempts_max, now_s, ret_retry_after_s) &&
                   count(limiter, of_address, limiter->address_attempts_max, now_s, ret_retry_after_s);
    pthread_mutex_unlock(&limiter->lock);
    return allowed;
}

void login_limiter_forget(struct login_limiter *limiter, const char *email, const char *peer)
{
    uint64_t of_peer = key_of(limiter, email, peer), of_address = key_of(limiter, email, "");
    pthread_mutex_lock(&limiter->lock);
    struct entry *entry = find(limiter, of_peer);
    uint32_t mine = entry->key == of_peer ? entry->attempts : 0;
    if (entry->key == of_peer)
        *entry = (struct entry){ 0 };
    entry = find(limiter, of_address);
    if (entry->key == of_address)
        entry->attempts -= mine < entry->attempts ? mine : entry->attempts;
    pthread_mutex_unlock(&limiter->lock);
}
