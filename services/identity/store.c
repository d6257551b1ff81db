#include "store.h"

#include "identity_sql.h"

#include <stdio.h>

static void copy(char *ret, size_t size, const char *text)
{
    (void)snprintf(ret, size, "%s", text);
}

bool store_insert_user(struct pg *pg, struct user *user, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    pg_arg_text(pg, user->email);
    pg_arg_text(pg, user->password_hash);
    if (!pg_query(pg, &sql_user_insert, &rows, e))
        return false;
    if (pg_rows(rows) == 0)
        return error_field(e, ERROR_CONFLICT, "email-taken", "email", "there is an account with this e-mail address");
    user->id = pg_get_int64(rows, 0, 0);
    copy(user->scope, sizeof user->scope, pg_get_text(rows, 0, 1));
    user->created_at_us = pg_get_int64(rows, 0, 2);
    return true;
}

bool store_user_by_email(struct pg *pg, const char *email, struct user *ret, bool *ret_found, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    pg_arg_text(pg, email);
    if (!pg_query(pg, &sql_user_by_email, &rows, e))
        return false;
    *ret_found = pg_rows(rows) == 1;
    if (!*ret_found)
        return true;
    *ret = (struct user){ .id = pg_get_int64(rows, 0, 0) };
    copy(ret->email, sizeof ret->email, email);
    copy(ret->scope, sizeof ret->scope, pg_get_text(rows, 0, 1));
    copy(ret->password_hash, sizeof ret->password_hash, pg_get_text(rows, 0, 2));
    return true;
}

bool store_user_by_id(struct pg *pg, int64_t id, struct user *ret, bool *ret_found, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    pg_arg_int64(pg, id);
    if (!pg_query(pg, &sql_user_by_id, &rows, e))
        return false;
    *ret_found = pg_rows(rows) == 1;
    if (!*ret_found)
        return true;
    *ret = (struct user){ .id = id, .created_at_us = pg_get_int64(rows, 0, 2) };
    copy(ret->email, sizeof ret->email, pg_get_text(rows, 0, 0));
    copy(ret->scope, sizeof ret->scope, pg_get_text(rows, 0, 1));
    return true;
}

static struct bytes digest_of(const struct refresh_token *token)
{
    return (struct bytes){ token->digest, sizeof token->digest };
}

bool store_insert_refresh_token(struct pg *pg, const struct refresh_token *token, int64_t lifetime_s, struct error *e)
{
    pg_arg_int64(pg, token->user_id);
    if (!pg_send(pg, &sql_refresh_tokens_expire, NULL, e))
        return false;
    pg_arg_bytes(pg, digest_of(token));
    pg_arg_int64(pg, token->user_id);
    pg_arg_int64(pg, token->family);
    pg_arg_int64(pg, lifetime_s);
    return pg_send(pg, &sql_refresh_token_insert, NULL, e);
}

static bool lock_family(struct pg *pg, const struct refresh_token *token, struct error *e)
{
    pg_arg_bytes(pg, digest_of(token));
    return pg_send(pg, &sql_refresh_family_lock, NULL, e);
}

bool store_lock_refresh_token(struct pg *pg, struct refresh_token *token, bool *ret_found, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    if (!lock_family(pg, token, e))
        return false;
    pg_arg_bytes(pg, digest_of(token));
    if (!pg_query(pg, &sql_refresh_token_get, &rows, e))
        return false;
    *ret_found = pg_rows(rows) == 1;
    if (!*ret_found)
        return true;
    token->user_id = pg_get_int64(rows, 0, 0);
    token->family = pg_get_int64(rows, 0, 1);
    token->spent = pg_get_bool(rows, 0, 2);
    token->expired = pg_get_bool(rows, 0, 3);
    copy(token->scope, sizeof token->scope, pg_get_text(rows, 0, 4));
    return true;
}

bool store_spend_refresh_token(struct pg *pg, const struct refresh_token *token, struct error *e)
{
    pg_arg_bytes(pg, digest_of(token));
    return pg_send(pg, &sql_refresh_token_spend, NULL, e);
}

bool store_delete_refresh_family(struct pg *pg, const struct refresh_token *token, struct error *e)
{
    if (!lock_family(pg, token, e))
        return false;
    pg_arg_bytes(pg, digest_of(token));
    return pg_send(pg, &sql_refresh_family_delete, NULL, e);
}
