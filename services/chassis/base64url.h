/* base64url.h -- RFC 4648 §5 without padding, as RFC 7515 wants it. Pure; any thread. */
#pragma once

#include <event_bus/base.h>

/* Characters for `len` bytes, with the NUL. */
#define BASE64URL_SIZE(len) (((len)*4 + 2) / 3 + 1)

/* ret_text has room for BASE64URL_SIZE(len). */
void base64url_encode(const void *data, size_t len, char *ret_text);

/* Strict: one text for each value. Padding, other characters, a length no encoder produces and set bits behind the last
 * byte are refused, as is a result longer than size. */
MUST_CHECK bool base64url_decode(const char *text, size_t text_len, uint8_t *ret, size_t size, size_t *ret_len);
