/* commands.h -- what this service does; one function is one transaction, which the chassis begins and commits.
 *
 * A password takes 20 ms to hash. command_sign_up() does it before its first statement: BEGIN is only queued until
 * then, so no transaction is open on the server meanwhile. command_log_in() does it after reading the hash, inside a
 * transaction that has read one row and holds no lock and no transaction id, so it holds up nobody but its own
 * connection, of the small pool of slow routes. */
#pragma once

#include "identity.h"
#include "store.h"

#include <event_bus/outbox.h>

struct credentials {
    const char *email, *password; /* as the client sent them */
    const char *peer;
    int64_t now_s;
};

/* What a client gets when it has shown who it is. */
struct session {
    int64_t user_id;
    char *access_token; /* xfree */
    char refresh_token[REFRESH_TOKEN_TEXT];
};
void session_release(struct session *session);

/* Errors: REFUSED invalid-email, invalid-password; CONFLICT email-taken. */
MUST_CHECK bool command_sign_up(struct identity *identity, struct pg *pg, struct outbox *outbox,
    const struct credentials *credentials, const char *traceparent, struct session *ret, struct error *e);

/* Errors: UNAUTHENTICATED wrong-credentials, the same and after the same work whether the user exists or not;
 * REFUSED rate-limited with *ret_retry_after_s. */
MUST_CHECK bool command_log_in(struct identity *identity, struct pg *pg, const struct credentials *credentials,
    struct session *ret, uint32_t *ret_retry_after_s, struct error *e);

/* Spends a refresh token and gives a new one of the same family. A token that was spent before has been stolen, from
 * the client or by it: the whole family is revoked. *ret_refused then says so, and the function returns true, for the
 * revocation has to be committed. */
MUST_CHECK bool command_refresh(struct identity *identity, struct pg *pg, const char *refresh_token, int64_t now_s,
    struct session *ret, bool *ret_refused, struct error *e);

/* Revokes the family of a refresh token; one that is unknown is logged out already. */
MUST_CHECK bool command_log_out(struct pg *pg, const char *refresh_token, struct error *e);
