#include "jwt.h"

#include "base64url.h"
#include "jwt_cache.h"
#include "jwt_keys.h"

#include <assert.h>
#include <jansson.h>
#include <openssl/ec.h>
#include <pthread.h>
#include <stdio.h>

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)
DEFINE_CLEANUP(ECDSA_SIG *, ECDSA_SIG_free)

enum { SIGNATURE_DER_MAX = 80 }; /* P-256: at most 72 */

struct jwt_verifier {
    char *issuer, *audience;
    EVP_MD *sha256; /* fetched once: a fetch for each token costs more than the hash */
    pthread_rwlock_t lock;
    struct jwt_keys keys; /* under lock */
    uint64_t generation;  /* under lock; raised with each change of keys */
    struct jwt_cache *cache;
};

struct part {
    const char *text;
    size_t len;
};

struct token {
    struct part header, payload, signature, signed_text;
};

struct jwt_verifier *jwt_verifier_new(const char *issuer, const char *audience)
{
    struct jwt_verifier *verifier = xcalloc(1, sizeof *verifier);
    verifier->issuer = xstrdup(issuer);
    verifier->audience = xstrdup(audience);
    verifier->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    assert(verifier->sha256);
    pthread_rwlock_init(&verifier->lock, NULL);
    verifier->cache = jwt_cache_new();
    return verifier;
}

void jwt_verifier_free(struct jwt_verifier *verifier)
{
    if (!verifier)
        return;
    jwt_cache_free(verifier->cache);
    jwt_keys_release(&verifier->keys);
    pthread_rwlock_destroy(&verifier->lock);
    EVP_MD_free(verifier->sha256);
    xfree(verifier->issuer);
    xfree(verifier->audience);
    xfree(verifier);
}

const char *jwt_verifier_issuer(const struct jwt_verifier *verifier)
{
    return verifier->issuer;
}

const char *jwt_verifier_audience(const struct jwt_verifier *verifier)
{
    return verifier->audience;
}

bool jwt_verifier_set_keys(struct jwt_verifier *verifier, const char *jwks, struct error *e)
{
    struct jwt_keys keys;
    if (!jwt_keys_parse(jwks, &keys, e))
        return false;
    pthread_rwlock_wrlock(&verifier->lock);
    if (!jwt_keys_equal(&keys, &verifier->keys)) {
        struct jwt_keys old = verifier->keys;
        verifier->keys = keys;
        keys = old;
        verifier->generation++;
    }
    pthread_rwlock_unlock(&verifier->lock);
    jwt_keys_release(&keys);
    return true;
}

bool jwt_verifier_has_keys(struct jwt_verifier *verifier)
{
    pthread_rwlock_rdlock(&verifier->lock);
    bool has_keys = verifier->keys.count > 0;
    pthread_rwlock_unlock(&verifier->lock);
    return has_keys;
}

static bool refuse(struct error *e, const char *why)
{
    return error_set(e, ERROR_UNAUTHENTICATED, "the access token %s", why);
}

/* Three parts between exactly two points. */
static bool token_split(const char *text, size_t len, struct token *ret)
{
    const char *end = text + len;
    const char *first = memchr(text, '.', len);
    const char *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (!second || memchr(second + 1, '.', (size_t)(end - second - 1)))
        return false;
    ret->header = (struct part){ text, (size_t)(first - text) };
    ret->payload = (struct part){ first + 1, (size_t)(second - first - 1) };
    ret->signature = (struct part){ second + 1, (size_t)(end - second - 1) };
    ret->signed_text = (struct part){ text, (size_t)(second - text) };
    return true;
}

/* The JSON object of a part, the caller's; NULL if it is none. A key twice, bytes after the object and broken UTF-8 are
 * refused: two readers of the token must not come to different claims. */
static json_t *part_json(const struct part *part)
{
    uint8_t text[JWT_TOKEN_MAX];
    size_t len = 0;
    if (!base64url_decode(part->text, part->len, text, sizeof text, &len))
        return NULL;
    json_t *json = json_loadb((const char *)text, len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(json)) {
        json_decref(json);
        return NULL;
    }
    return json;
}

static bool is_text(const json_t *json, const char *wanted)
{
    const char *text = json_string_value(json);
    return text && strcmp(text, wanted) == 0;
}

/* Finds the key the header names; *ret_key is the caller's reference. Only ES256 ever gets here: an algorithm chosen by
 * the token is how `none` and HMAC with a public key get in. */
static bool header_key(struct jwt_verifier *verifier, const struct part *part, EVP_PKEY **ret_key,
    uint64_t *ret_generation, bool *ret_unknown_kid, struct error *e)
{
    json_auto_t *header = part_json(part);
    if (!header)
        return refuse(e, "has a malformed header");
    if (!is_text(json_object_get(header, "alg"), "ES256"))
        return refuse(e, "is not signed with ES256");
    const json_t *type = json_object_get(header, "typ");
    if (type && !is_text(type, "JWT"))
        return refuse(e, "is not of type JWT");
    if (json_object_get(header, "crit"))
        return refuse(e, "asks for an unknown extension");
    const char *kid = json_string_value(json_object_get(header, "kid"));
    if (!kid)
        return refuse(e, "names no key");
    pthread_rwlock_rdlock(&verifier->lock);
    EVP_PKEY *key = jwt_keys_find(&verifier->keys, kid);
    if (key)
        EVP_PKEY_up_ref(key);
    *ret_generation = verifier->generation;
    pthread_rwlock_unlock(&verifier->lock);
    if (!key) {
        *ret_unknown_kid = true;
        return refuse(e, "is signed with an unknown key");
    }
    *ret_key = key;
    return true;
}

/* JWS carries r and s side by side, OpenSSL reads them in DER. */
static bool signature_der(const struct part *part, uint8_t ret_der[SIGNATURE_DER_MAX], size_t *ret_len)
{
    uint8_t raw[JWT_SIGNATURE_LEN];
    size_t len = 0;
    if (!base64url_decode(part->text, part->len, raw, sizeof raw, &len) || len != sizeof raw)
        return false;
    CLEANUP(ECDSA_SIG_free) ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, JWT_SIGNATURE_LEN / 2, NULL);
    BIGNUM *s = BN_bin2bn(raw + JWT_SIGNATURE_LEN / 2, JWT_SIGNATURE_LEN / 2, NULL);
    assert(signature && r && s);
    int set = ECDSA_SIG_set0(signature, r, s);
    assert(set == 1);
    uint8_t *out = ret_der;
    int der_len = i2d_ECDSA_SIG(signature, NULL);
    if (der_len <= 0 || der_len > SIGNATURE_DER_MAX || i2d_ECDSA_SIG(signature, &out) != der_len)
        return false;
    *ret_len = (size_t)der_len;
    return true;
}

static bool signature_check(struct jwt_verifier *verifier, EVP_PKEY *key, const struct token *token)
{
    uint8_t der[SIGNATURE_DER_MAX];
    size_t der_len = 0;
    if (!signature_der(&token->signature, der, &der_len))
        return false;
    CLEANUP(EVP_MD_CTX_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert(context);
    return EVP_DigestVerifyInit(context, NULL, verifier->sha256, NULL, key) == 1 &&
           EVP_DigestVerify(context, der, der_len, (const uint8_t *)token->signed_text.text, token->signed_text.len) ==
               1;
}

/* `aud` is a string or an array of strings (RFC 7519 §4.1.3). */
static bool is_audience(const json_t *aud, const char *wanted)
{
    if (json_is_string(aud))
        return is_text(aud, wanted);
    size_t index;
    const json_t *item;
    json_array_foreach(aud, index, item)
    {
        if (is_text(item, wanted))
            return true;
    }
    return false;
}

/* "service:<name>" or a user id in its one decimal form. */
static bool read_subject(const json_t *sub, struct jwt_claims *claims)
{
    const char *text = json_string_value(sub);
    if (!text || strlen(text) >= sizeof claims->subject)
        return false;
    const char prefix[] = "service:";
    if (strncmp(text, prefix, sizeof prefix - 1) == 0) {
        if (text[sizeof prefix - 1] == '\0')
            return false;
    } else {
        int64_t id = 0;
        for (const char *p = text; *p; p++) {
            if (*p < '0' || *p > '9' || __builtin_mul_overflow(id, 10, &id) ||
                __builtin_add_overflow(id, *p - '0', &id))
                return false;
        }
        if (id == 0 || *text == '0')
            return false;
        claims->user_id = (uint64_t)id;
    }
    (void)snprintf(claims->subject, sizeof claims->subject, "%s", text);
    return true;
}

static bool read_claims(
    const struct jwt_verifier *verifier, const struct part *part, struct jwt_verified *ret, struct error *e)
{
    json_auto_t *payload = part_json(part);
    if (!payload)
        return refuse(e, "has a malformed payload");
    struct jwt_verified verified = { .not_before_s = INT64_MIN };
    if (!is_text(json_object_get(payload, "iss"), verifier->issuer))
        return refuse(e, "is from another issuer");
    if (!is_audience(json_object_get(payload, "aud"), verifier->audience))
        return refuse(e, "is for another audience");
    if (!read_subject(json_object_get(payload, "sub"), &verified.claims))
        return refuse(e, "has no usable subject");
    const json_t *expires = json_object_get(payload, "exp"), *issued = json_object_get(payload, "iat");
    const json_t *not_before = json_object_get(payload, "nbf");
    if (!json_is_integer(expires) || !json_is_integer(issued) || (not_before && !json_is_integer(not_before)))
        return refuse(e, "needs exp and iat, in whole seconds");
    verified.claims.expires_at_s = json_integer_value(expires);
    verified.claims.issued_at_s = json_integer_value(issued);
    if (not_before)
        verified.not_before_s = json_integer_value(not_before);
    const json_t *scope = json_object_get(payload, "scope");
    if (scope && (!json_is_string(scope) || json_string_length(scope) >= sizeof verified.claims.scope))
        return refuse(e, "has a scope that is no text or too long");
    if (scope)
        (void)snprintf(verified.claims.scope, sizeof verified.claims.scope, "%s", json_string_value(scope));
    *ret = verified;
    return true;
}

/* At each use, also of a token from the cache. */
static bool check_times(const struct jwt_verified *verified, int64_t now_s, struct error *e)
{
    if (now_s - JWT_LEEWAY_S >= verified->claims.expires_at_s)
        return refuse(e, "has expired");
    if (now_s + JWT_LEEWAY_S < verified->claims.issued_at_s || now_s + JWT_LEEWAY_S < verified->not_before_s)
        return refuse(e, "is not valid yet");
    return true;
}

static uint64_t current_generation(struct jwt_verifier *verifier)
{
    pthread_rwlock_rdlock(&verifier->lock);
    uint64_t generation = verifier->generation;
    pthread_rwlock_unlock(&verifier->lock);
    return generation;
}

/* Everything but the times. The payload is not looked at before its signature has been checked. */
static bool verify_signed(struct jwt_verifier *verifier, const char *text, size_t len, struct jwt_verified *ret,
    uint64_t *ret_generation, bool *ret_unknown_kid, struct error *e)
{
    struct token token;
    if (!token_split(text, len, &token))
        return refuse(e, "does not have three parts");
    CLEANUP(EVP_PKEY_free) EVP_PKEY *key = NULL;
    if (!header_key(verifier, &token.header, &key, ret_generation, ret_unknown_kid, e))
        return false;
    if (!signature_check(verifier, key, &token))
        return refuse(e, "has a wrong signature");
    return read_claims(verifier, &token.payload, ret, e);
}

bool jwt_verify(struct jwt_verifier *verifier, const char *token, int64_t now_s, struct jwt_claims *ret_claims,
    bool *ret_unknown_kid, struct error *e)
{
    *ret_unknown_kid = false;
    size_t len = strnlen(token, JWT_TOKEN_MAX + 1);
    if (len > JWT_TOKEN_MAX)
        return error_set(e, ERROR_UNAUTHENTICATED, "the access token is over %d bytes", JWT_TOKEN_MAX);
    struct jwt_verified verified;
    bool cached = jwt_cache_get(verifier->cache, token, len, current_generation(verifier), &verified);
    uint64_t generation = 0;
    if (!cached && !verify_signed(verifier, token, len, &verified, &generation, ret_unknown_kid, e))
        return false;
    if (!check_times(&verified, now_s, e))
        return false;
    if (!cached)
        jwt_cache_put(verifier->cache, token, len, generation, &verified);
    *ret_claims = verified.claims;
    return true;
}
