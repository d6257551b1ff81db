/* text.h -- bytes from outside that claim to be text. Postgres refuses anything but UTF-8 without NUL, so what is not
 * must be found before it reaches a statement. Internal to the library; any thread. */
#pragma once

#include <event_bus/base.h>

bool text_is_utf8(const char *text, size_t len);  /* strict: no surrogates, no overlong forms, no NUL */
bool text_is_clean(const char *text, size_t len); /* that, and no control characters */
void text_scrub(char *text);                      /* in place: each byte that is not clean becomes '?' */
