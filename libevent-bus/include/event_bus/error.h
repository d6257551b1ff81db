/* error.h -- one error object, on the caller's stack, with a kind for each reaction (never for each cause).
 *
 * Functions that can fail take `struct error *e` last and return false (or NULL) after error_set(). On success they
 * leave *e alone. Library code returns errors; only the edge (HTTP server, consumer loop, main) logs them. */
#pragma once

#include "base.h"

#include <string.h>

enum error_kind {
    ERROR_NONE,
    ERROR_INVALID,         /* malformed: 400; dead letter */
    ERROR_UNAUTHENTICATED, /* 401 */
    ERROR_DENIED,          /* 403 */
    ERROR_NOT_FOUND,       /* 404 */
    ERROR_CONFLICT,        /* 409 */
    ERROR_REFUSED,         /* well-formed and understood, but the rules say no: 422 */
    ERROR_TRANSIENT,       /* try again with back-off: 503 */
    ERROR_FATAL,           /* this process cannot go on (fenced, broken schema, bug): log and exit */
};

struct error {
    enum error_kind kind;
    int code;          /* detail for the one who set it: SQLSTATE (base 36), rd_kafka error code, errno; else 0 */
    char problem[48];  /* the stable problem type, "insufficient-funds"; "" means the kind's default */
    char field[48];    /* the offending input field or setting, or "" */
    char message[192]; /* one sentence for a human; no secrets */
};

/* Both always return false, so that `return error_set(...)` reads well. */
EB_API bool error_set(struct error *e, enum error_kind kind, const char *fmt, ...) PRINTF(3, 4);
EB_API bool error_field(
    struct error *e, enum error_kind kind, const char *problem, const char *field, const char *fmt, ...) PRINTF(5, 6);

EB_API const char *error_kind_name(enum error_kind kind); /* "invalid", "transient", … */

static inline bool error_is(const struct error *e, enum error_kind kind)
{
    return e->kind == kind;
}

static inline void error_clear(struct error *e)
{
    memset(e, 0, sizeof *e);
}
