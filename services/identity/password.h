/* password.h -- passwords at rest: argon2id with 19 MiB and two passes (OWASP's figure), a fresh salt each. 20 ms and
 * 19 MiB a call: only in `slow` routes. sodium_init() must have been called. */
#pragma once

#include <event_bus/error.h>

#include <sodium.h>

enum {
    PASSWORD_MIN = 8, /* bytes */
    PASSWORD_MAX = 128,
    PASSWORD_HASH_MAX = crypto_pwhash_STRBYTES, /* PHC string with the NUL */
};

/* Errors: REFUSED invalid-password, field "password". */
MUST_CHECK bool password_validate(const char *password, struct error *e);

MUST_CHECK bool password_hash(const char *password, char ret_hash[PASSWORD_HASH_MAX], struct error *e);
bool password_matches(const char *password, const char *hash); /* in constant time */
