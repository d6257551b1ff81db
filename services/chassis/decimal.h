/* decimal.h -- decimal strings ⇄ integers. No floating point. Any thread. */
#pragma once

#include <event_bus/error.h>

enum { DECIMAL_TEXT_MAX = 48, DECIMAL_SCALE_MAX = 18 };

/* "12.34" at scale 8 → 1234000000. Digits with at most one point, at least one digit on each side of it; no sign,
 * exponent, space or thousands separator. Too many decimals, out of int64 range or malformed: ERROR_REFUSED resp.
 * ERROR_INVALID, with `field`. */
MUST_CHECK bool decimal_parse(const char *text, unsigned scale, const char *field, int64_t *ret_minor, struct error *e);

/* 1234000000 at scale 8 → "12.34"; at least `min_decimals` decimals are kept. Handles INT64_MIN. Returns ret_text. */
char *decimal_format(int64_t minor, unsigned scale, unsigned min_decimals, char ret_text[DECIMAL_TEXT_MAX]);
