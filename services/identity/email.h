/* email.h -- e-mail addresses. Pure. */
#pragma once

#include <event_bus/error.h>

enum { EMAIL_MAX = 254 }; /* bytes (RFC 5321 §4.5.3.1.3) */

/* Lower case into ret. The shape is that of HTML's <input type=email>, which is what people can type into forms: ASCII,
 * a local part of at most 64 bytes, a domain of letters, digits and inner hyphens. Two addresses that differ in case
 * are one user. Errors: REFUSED invalid-email, field "email". */
MUST_CHECK bool email_normalise(const char *text, char ret_email[EMAIL_MAX + 1], struct error *e);
