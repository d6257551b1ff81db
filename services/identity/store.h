/* store.h -- rows ⇄ structs. One function, one round trip at most. */
#pragma once

#include "email.h"
#include "password.h"
#include "refresh_token.h"

#include <event_bus/pg.h>

enum { SCOPE_MAX = 128 };

struct user {
    int64_t id;
    char email[EMAIL_MAX + 1];
    char scope[SCOPE_MAX];
    char password_hash[PASSWORD_HASH_MAX];
    int64_t created_at_us;
};

/* Fills id, scope, created_at_us of a user with email and password_hash. Errors: CONFLICT email-taken. */
MUST_CHECK bool store_insert_user(struct pg *pg, struct user *user, struct error *e);
/* *ret_found false: there is none. */
MUST_CHECK bool store_user_by_email(
    struct pg *pg, const char *email, struct user *ret, bool *ret_found, struct error *e);
MUST_CHECK bool store_user_by_id(struct pg *pg, int64_t id, struct user *ret, bool *ret_found, struct error *e);

struct refresh_token {
    uint8_t digest[REFRESH_DIGEST_LEN];
    int64_t user_id, family;
    bool spent, expired;
    char scope[SCOPE_MAX]; /* the user's */
};

/* Queues the insert; nothing is waited for. Expired tokens of the user go. */
MUST_CHECK bool store_insert_refresh_token(
    struct pg *pg, const struct refresh_token *token, int64_t lifetime_s, struct error *e);
/* By token->digest, with its family locked until the end of the transaction. */
MUST_CHECK bool store_lock_refresh_token(struct pg *pg, struct refresh_token *token, bool *ret_found, struct error *e);
MUST_CHECK bool store_spend_refresh_token(
    struct pg *pg, const struct refresh_token *token, struct error *e); /* queued */
/* Queues the end of the family of token->digest, under its lock. */
MUST_CHECK bool store_delete_refresh_family(struct pg *pg, const struct refresh_token *token, struct error *e);
