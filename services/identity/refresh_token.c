#include "refresh_token.h"

#include <string.h>

void refresh_token_new(char ret_text[REFRESH_TOKEN_TEXT])
{
    uint8_t bits[REFRESH_TOKEN_LEN];
    randombytes_buf(bits, sizeof bits);
    base64url_encode(bits, sizeof bits, ret_text);
    sodium_memzero(bits, sizeof bits);
}

void refresh_token_digest(const char *text, uint8_t ret_digest[REFRESH_DIGEST_LEN])
{
    (void)crypto_hash_sha256(ret_digest, (const uint8_t *)text, strlen(text));
}

int64_t refresh_family_new(void)
{
    uint64_t bits = 0;
    randombytes_buf(&bits, sizeof bits);
    return (int64_t)(bits >> 1);
}
