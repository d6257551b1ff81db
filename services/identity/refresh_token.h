/* refresh_token.h -- 256 random bits as text. The database keeps only a digest: who reads it cannot log in with it. */
#pragma once

#include <event_bus/base.h>

#include "../chassis/base64url.h"

#include <sodium.h>

enum {
    REFRESH_TOKEN_LEN = 32, /* random bytes */
    REFRESH_TOKEN_TEXT = BASE64URL_SIZE(REFRESH_TOKEN_LEN),
    REFRESH_DIGEST_LEN = crypto_hash_sha256_BYTES,
};

void refresh_token_new(char ret_text[REFRESH_TOKEN_TEXT]);
void refresh_token_digest(const char *text, uint8_t ret_digest[REFRESH_DIGEST_LEN]); /* of any text */
int64_t refresh_family_new(void);
