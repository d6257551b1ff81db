#include "commands.h"

#include "email.h"
#include "events.h"

#include <inttypes.h>
#include <stdio.h>

void session_release(struct session *session)
{
    xfree(session->access_token);
    session->access_token = NULL;
}

/* An access token and a refresh token of this family. */
static bool open_session(struct identity *identity, struct pg *pg, const struct user *user, int64_t family,
    int64_t now_s, struct session *ret, struct error *e)
{
    const struct settings *settings = identity->settings;
    struct session session = { .user_id = user->id };
    struct refresh_token token = { .user_id = user->id, .family = family };
    refresh_token_new(session.refresh_token);
    refresh_token_digest(session.refresh_token, token.digest);
    char subject[24];
    (void)snprintf(subject, sizeof subject, "%" PRId64, user->id);
    if (!store_insert_refresh_token(pg, &token, settings->refresh_token_lifetime_s, e) ||
        !signing_keys_sign(identity->keys, identity->issuer, identity->audience, subject, user->scope, now_s,
            settings->access_token_lifetime_s, &session.access_token, e))
        return false;
    *ret = session;
    return true;
}

bool command_sign_up(struct identity *identity, struct pg *pg, struct outbox *outbox,
    const struct credentials *credentials, const char *traceparent, struct session *ret, struct error *e)
{
    struct user user = { 0 };
    if (!email_normalise(credentials->email, user.email, e) || !password_validate(credentials->password, e) ||
        !password_hash(credentials->password, user.password_hash, e) || !store_insert_user(pg, &user, e))
        return false;
    events_user_signed_up(outbox, &user, traceparent);
    return open_session(identity, pg, &user, refresh_family_new(), credentials->now_s, ret, e);
}

/* Checks a password against the user's, or against one nobody has. */
static bool authenticate(struct identity *identity, struct pg *pg, const char *email, const char *password,
    struct user *ret, struct error *e)
{
    bool found = false;
    if (!store_user_by_email(pg, email, ret, &found, e))
        return false;
    bool matches = password_matches(password, found ? ret->password_hash : identity->absent_hash);
    if (!found || !matches)
        return error_field(e, ERROR_UNAUTHENTICATED, "wrong-credentials", "", "wrong e-mail address or password");
    return true;
}

bool command_log_in(struct identity *identity, struct pg *pg, const struct credentials *credentials,
    struct session *ret, uint32_t *ret_retry_after_s, struct error *e)
{
    char email[EMAIL_MAX + 1];
    struct error malformed = { 0 };
    if (!email_normalise(credentials->email, email, &malformed))
        email[0] = '\0'; /* nobody's: refused like any unknown address */
    if (!login_limiter_try(identity->limiter, email, credentials->peer, credentials->now_s, ret_retry_after_s))
        return error_field(e, ERROR_REFUSED, "rate-limited", "",
            "too many attempts to log in; try again in %" PRIu32 " s", *ret_retry_after_s);
    struct user user = { 0 };
    if (!authenticate(identity, pg, email, credentials->password, &user, e))
        return false;
    login_limiter_forget(identity->limiter, email, credentials->peer);
    return open_session(identity, pg, &user, refresh_family_new(), credentials->now_s, ret, e);
}

bool command_refresh(struct identity *identity, struct pg *pg, const char *refresh_token, int64_t now_s,
    struct session *ret, bool *ret_refused, struct error *e)
{
    struct refresh_token token = { 0 };
    bool found = false;
    refresh_token_digest(refresh_token, token.digest);
    if (!store_lock_refresh_token(pg, &token, &found, e))
        return false;
    *ret_refused = !found || token.spent || token.expired;
    if (found && token.spent)
        return store_delete_refresh_family(pg, &token, e);
    if (*ret_refused)
        return true;
    struct user user = { .id = token.user_id };
    (void)snprintf(user.scope, sizeof user.scope, "%s", token.scope);
    return store_spend_refresh_token(pg, &token, e) && open_session(identity, pg, &user, token.family, now_s, ret, e);
}

bool command_log_out(struct pg *pg, const char *refresh_token, struct error *e)
{
    struct refresh_token token = { 0 };
    refresh_token_digest(refresh_token, token.digest);
    return store_delete_refresh_family(pg, &token, e);
}
