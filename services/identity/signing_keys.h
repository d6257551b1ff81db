/* signing_keys.h -- the keys of access tokens: one signs, the one after it is published already, so that every verifier
 * has it by the time it signs, and the one before it is published still, for as long as a token of it may live.
 *
 *     PATH.next  --published for publish_s-->  PATH  --the next one signs-->  PATH.previous  --lifetime_s--> gone
 *
 * The files are the state, and their times the clock: processes may share them, and may be killed anywhere. Any thread;
 * the time is a parameter. */
#pragma once

#include "../chassis/jwt.h"

struct signing_key_times {
    int64_t publish_s;  /* longer than a verifier takes to look again */
    int64_t lifetime_s; /* of a token, and a little more */
    int64_t max_age_s;  /* when a key has signed for so long, the next is made; 0: only when it is asked for */
};

struct signing_keys;

/* Makes the first key if there is none. Errors: FATAL, naming the file. */
MUST_CHECK bool signing_keys_open(
    const char *path, const struct signing_key_times *times, struct signing_keys **ret, struct error *e);
void signing_keys_free(struct signing_keys *keys); /* NULL is fine */
DEFINE_CLEANUP(struct signing_keys *, signing_keys_free)

/* Asks for another key: makes PATH.next. CONFLICT: there is one already. */
MUST_CHECK bool signing_keys_rotate(const char *path, struct error *e);

/* Moves the files on as time goes, and takes notice of what others did to them; called every few seconds. *ret_changed:
 * what is published is another set than before. An error leaves everything as it was. */
MUST_CHECK bool signing_keys_tick(struct signing_keys *keys, int64_t now_s, bool *ret_changed, struct error *e);

/* As jwt_sign(), with the key that signs. */
MUST_CHECK bool signing_keys_sign(struct signing_keys *keys, const char *issuer, const char *audience,
    const char *subject, const char *scope, int64_t now_s, int64_t lifetime_s, char **ret_token, struct error *e);
char *signing_keys_jwks(struct signing_keys *keys); /* all that are published; the caller's (xfree) */
