/* jwt.h -- access tokens: ES256 only (RFC 7519, RFC 7515, RFC 7517). Claims: iss, sub (user id, decimal), aud, iat,
 * exp, kid in the header, scope (space-separated), and for service-to-service tokens sub = "service:<name>".
 *
 * A verifier holds the public keys of a JWKS by kid and a bounded cache of tokens it has already checked, so that a
 * client that sends the same token again costs no signature check. Any thread. */
#pragma once

#include <event_bus/error.h>

enum { JWT_TOKEN_MAX = 4096, JWT_LEEWAY_S = 30 };

struct jwt_claims {
    uint64_t user_id; /* 0 for a service */
    char subject[64];
    char scope[128];
    int64_t issued_at_s, expires_at_s;
};

struct jwt_verifier;

struct jwt_verifier *jwt_verifier_new(const char *issuer, const char *audience);
void jwt_verifier_free(struct jwt_verifier *verifier); /* NULL is fine */
DEFINE_CLEANUP(struct jwt_verifier *, jwt_verifier_free)
/* What it was made with: identity signs for exactly those. Borrowed. */
const char *jwt_verifier_issuer(const struct jwt_verifier *verifier);
const char *jwt_verifier_audience(const struct jwt_verifier *verifier);

/* jwks: the JSON text of a key set. Keys of other kinds are skipped. Errors: INVALID (no usable key, a broken one, a
 * kid twice), and the keys that were there stay. */
MUST_CHECK bool jwt_verifier_set_keys(struct jwt_verifier *verifier, const char *jwks, struct error *e);
bool jwt_verifier_has_keys(struct jwt_verifier *verifier);

/* token: the text after "Bearer ". Errors: UNAUTHENTICATED, saying why (expired, unknown key, wrong algorithm, …);
 * *ret_unknown_kid tells that fetching the key set again may help. now_s: seconds since 1970. */
MUST_CHECK bool jwt_verify(struct jwt_verifier *verifier, const char *token, int64_t now_s,
    struct jwt_claims *ret_claims, bool *ret_unknown_kid, struct error *e);

/* The signing side: identity only. */
struct jwt_signer;
MUST_CHECK bool jwt_signer_open(const char *pem_path, bool create_if_missing, struct jwt_signer **ret, struct error *e);
void jwt_signer_free(struct jwt_signer *signer);
DEFINE_CLEANUP(struct jwt_signer *, jwt_signer_free)
MUST_CHECK bool jwt_sign(const struct jwt_signer *signer, const char *issuer, const char *audience, const char *subject,
    const char *scope, int64_t now_s, int64_t lifetime_s, char **ret_token, struct error *e);
const char *jwt_signer_kid(const struct jwt_signer *signer);
char *jwt_signer_jwks(const struct jwt_signer *signer);                        /* JSON text, the caller's (xfree) */
char *jwt_signers_jwks(const struct jwt_signer *const *signers, size_t count); /* the same, of several */
