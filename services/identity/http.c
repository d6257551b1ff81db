#include "http.h"

#include "commands.h"

#include "../chassis/service.h"

#include <event_bus/event.h>
#include <inttypes.h>
#include <stdio.h>

enum { BODY_MAX = 4096 };

static struct identity *current_identity(void)
{
    return service_state();
}

static int64_t now_s(void)
{
    return now_us() / 1000000;
}

static bool read_credentials(const struct http_request *request, struct credentials *ret, struct error *e)
{
    static const char *const fields[] = { "email", "password", NULL };
    *ret = (struct credentials){ .peer = request->peer, .now_s = now_s() };
    return json_only_fields(request->json, fields, e) && json_get_string(request->json, "email", &ret->email, e) &&
           json_get_string(request->json, "password", &ret->password, e);
}

static bool read_refresh_token(const struct http_request *request, const char **ret, struct error *e)
{
    static const char *const fields[] = { "refresh_token", NULL };
    return json_only_fields(request->json, fields, e) && json_get_string(request->json, "refresh_token", ret, e);
}

/* Takes the session. */
static void reply_session(
    const struct identity *identity, int status, struct session *session, struct http_reply *reply)
{
    char user_id[24];
    (void)snprintf(user_id, sizeof user_id, "%" PRId64, session->user_id);
    reply->status = status;
    reply->json = json_pack("{s:s, s:s, s:s, s:s, s:I}", "user_id", user_id, "access_token", session->access_token,
        "refresh_token", session->refresh_token, "token_type", "Bearer", "expires_in",
        (json_int_t)identity->settings->access_token_lifetime_s);
    session_release(session);
}

static bool post_signup(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    struct identity *identity = current_identity();
    struct credentials credentials;
    struct session session = { 0 };
    if (!read_credentials(request, &credentials, e) ||
        !command_sign_up(identity, pg, outbox, &credentials, request->trace.parent, &session, e))
        return false;
    reply_session(identity, 201, &session, reply);
    return true;
}

static bool post_login(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    struct identity *identity = current_identity();
    struct credentials credentials;
    struct session session = { 0 };
    if (!read_credentials(request, &credentials, e) ||
        !command_log_in(identity, pg, &credentials, &session, &reply->retry_after_s, e))
        return false;
    reply_session(identity, 200, &session, reply);
    return true;
}

/* A refusal that commits: an error would roll the revocation back. */
static void reply_refused(const struct http_request *request, struct http_reply *reply)
{
    struct error refused = { 0 };
    (void)error_field(&refused, ERROR_UNAUTHENTICATED, "wrong-credentials", "refresh_token",
        "the refresh token is unknown, used or expired: log in again");
    reply->status = http_status(&refused);
    reply->json = http_problem(&refused, &request->trace);
    reply->content_type = "application/problem+json";
}

static bool post_refresh(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    struct identity *identity = current_identity();
    const char *token = NULL;
    bool refused = false;
    struct session session = { 0 };
    if (!read_refresh_token(request, &token, e) ||
        !command_refresh(identity, pg, token, now_s(), &session, &refused, e))
        return false;
    if (refused)
        reply_refused(request, reply);
    else
        reply_session(identity, 200, &session, reply);
    return true;
}

static bool post_logout(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    const char *token = NULL;
    if (!read_refresh_token(request, &token, e) || !command_log_out(pg, token, e))
        return false;
    reply->status = 204;
    return true;
}

static bool get_me(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    struct user user;
    bool found = false;
    if (!store_user_by_id(pg, (int64_t)request->claims.user_id, &user, &found, e))
        return false;
    if (!found)
        return error_set(e, ERROR_UNAUTHENTICATED, "the access token is of a user who is not known here");
    char user_id[24], created_at[EVENT_TIME_MAX];
    (void)snprintf(user_id, sizeof user_id, "%" PRId64, user.id);
    event_time_format(user.created_at_us, created_at);
    reply->json = json_pack(
        "{s:s, s:s, s:s, s:s}", "user_id", user_id, "email", user.email, "scope", user.scope, "created_at", created_at);
    return true;
}

static bool get_jwks(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)pg, (void)outbox, (void)request, (void)e;
    reply->body = signing_keys_jwks(current_identity()->keys);
    reply->body_len = strlen(reply->body);
    return true;
}

const struct http_route routes[] = {
    { "POST", "/auth/signup", post_signup, .json = true, .slow = true, .body_max = BODY_MAX },
    { "POST", "/auth/login", post_login, .json = true, .slow = true, .body_max = BODY_MAX },
    { "POST", "/auth/refresh", post_refresh, .json = true, .body_max = BODY_MAX },
    { "POST", "/auth/logout", post_logout, .json = true, .body_max = BODY_MAX },
    { "GET", "/auth/me", get_me, .auth = HTTP_AUTH_USER, .read_only = true },
    { "GET", "/.well-known/jwks.json", get_jwks, .no_tx = true },
    { 0 },
};
