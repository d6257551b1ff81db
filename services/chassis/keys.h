/* keys.h -- keeps a token verifier supplied with the identity service's public keys: a thread that fetches the key set
 * at start (again and again until it has it), every few minutes, and soon after a token named a key we do not know. */
#pragma once

#include "jwt.h"

struct keys;

enum {
    KEYS_REFRESH_S = 300,
    KEYS_ASKED_PAUSE_MS = 3000, /* between two fetches that tokens asked for: forged ones must not drive us */
    KEYS_RETRY_MS = 250,        /* first pause after a failure; doubles … */
    KEYS_RETRY_MAX_MS = 5000,   /* … up to this */
    KEYS_BYTES_MAX = 64 * 1024,
};

/* verifier and url must outlive it. */
struct keys *keys_start(struct jwt_verifier *verifier, const char *identity_url);
void keys_ask(struct keys *keys);          /* any thread: a token's key is unknown */
bool keys_loaded(const struct keys *keys); /* any thread */
void keys_stop(struct keys *keys);         /* waits for the thread, frees. NULL is fine */
