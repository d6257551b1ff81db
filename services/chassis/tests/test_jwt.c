/* jwt: what is accepted, and above all what is not. */
#include "../jwt.h"

#include "token_maker.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOW_S = 1700000000, LIFETIME_S = 900 };

/* An identity with its key, and a verifier that knows it. */
struct world {
    char dir[32], path[64];
    struct jwt_signer *signer;
    struct jwt_verifier *verifier;
    EVP_PKEY *key;
    char *jwks, *kid, *header;
};

static void world_init(struct world *world)
{
    struct error e = { 0 };
    (void)snprintf(world->dir, sizeof world->dir, "/tmp/test_jwt.XXXXXX");
    cr_assert_not_null(mkdtemp(world->dir));
    (void)snprintf(world->path, sizeof world->path, "%s/key.pem", world->dir);
    cr_assert(jwt_signer_open(world->path, true, &world->signer, &e), "%s", e.message);
    world->jwks = jwt_signer_jwks(world->signer);
    world->verifier = jwt_verifier_new("penstock", "penstock");
    cr_assert(jwt_verifier_set_keys(world->verifier, world->jwks, &e), "%s", e.message);
    world->key = key_from_pem_file(world->path);
    world->kid = kid_of_jwks(world->jwks);
    world->header = xasprintf("{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"JWT\"}", world->kid);
}

static void world_release(struct world *world)
{
    (void)unlink(world->path);
    (void)rmdir(world->dir);
    jwt_signer_free(world->signer);
    jwt_verifier_free(world->verifier);
    EVP_PKEY_free(world->key);
    xfree(world->jwks);
    xfree(world->kid);
    xfree(world->header);
}

static char *honest_token(const struct world *world)
{
    char *token = NULL;
    struct error e = { 0 };
    cr_assert(jwt_sign(world->signer, "penstock", "penstock", "42", "trade", NOW_S, LIFETIME_S, &token, &e));
    return token;
}

static bool verify_at(struct world *world, const char *token, int64_t now_s, struct error *e)
{
    struct jwt_claims claims;
    bool unknown_kid = false;
    error_clear(e);
    return jwt_verify(world->verifier, token, now_s, &claims, &unknown_kid, e);
}

static void expect_refused(struct world *world, const char *token, const char *why)
{
    struct error e;
    cr_expect_not(verify_at(world, token, NOW_S, &e), "accepted: %.80s (%s)", token, why);
    cr_expect_eq(e.kind, ERROR_UNAUTHENTICATED, "%s", why);
    cr_expect_not_null(strstr(e.message, why), "said \"%s\", not \"%s\"", e.message, why);
}

Test(jwt, what_the_signer_signs_the_verifier_accepts)
{
    struct world world;
    world_init(&world);
    CLEANUP(xfree) char *token = honest_token(&world);
    struct jwt_claims claims;
    bool unknown_kid = true;
    struct error e = { 0 };
    for (int i = 0; i < 2; i++) { /* the second from the cache */
        memset(&claims, 0, sizeof claims);
        cr_assert(jwt_verify(world.verifier, token, NOW_S, &claims, &unknown_kid, &e), "%s", e.message);
        cr_expect_eq(claims.user_id, 42);
        cr_expect_str_eq(claims.subject, "42");
        cr_expect_str_eq(claims.scope, "trade");
        cr_expect_eq(claims.issued_at_s, NOW_S);
        cr_expect_eq(claims.expires_at_s, NOW_S + LIFETIME_S);
        cr_expect_not(unknown_kid);
    }
    world_release(&world);
}

Test(jwt, times_are_checked_with_leeway_and_again_on_cache_hits)
{
    struct world world;
    world_init(&world);
    CLEANUP(xfree) char *token = honest_token(&world);
    struct error e;
    const int64_t end_s = NOW_S + LIFETIME_S + JWT_LEEWAY_S;
    cr_expect_not(verify_at(&world, token, end_s, &e), "expired, not cached");
    cr_expect(verify_at(&world, token, end_s - 1, &e), "%s", e.message);
    cr_expect_not(verify_at(&world, token, end_s, &e), "expired, cached");
    cr_expect_not_null(strstr(e.message, "expired"));
    cr_expect(verify_at(&world, token, NOW_S - JWT_LEEWAY_S, &e), "%s", e.message);
    cr_expect_not(verify_at(&world, token, NOW_S - JWT_LEEWAY_S - 1, &e), "issued in the future");
    cr_expect_not_null(strstr(e.message, "not valid yet"));
    world_release(&world);
}

Test(jwt, a_payload_that_is_signed_is_still_judged)
{
    /* %s: the rest of an otherwise good payload. */
    static const struct {
        const char *payload, *why; /* why NULL: accepted */
    } cases[] = {
        { "{\"iss\":\"penstock\",\"aud\":\"penstock\",\"sub\":\"1\",\"iat\":1700000000,\"exp\":1700000900}", NULL },
        { "{\"iss\":\"penstock\",\"aud\":[\"a\",\"penstock\"],\"sub\":\"1\",\"iat\":1700000000,\"exp\":1700000900}",
            NULL },
        { "{\"iss\":\"penstock\",\"aud\":\"penstock\",\"sub\":\"service:relay\",\"iat\":1700000000,\"exp\":1700000900}",
            NULL },
        { "{\"iss\":\"other\",\"aud\":\"penstock\",\"sub\":\"1\",\"iat\":1700000000,\"exp\":1700000900}", "issuer" },
        { "{\"iss\":[\"penstock\"],\"aud\":\"penstock\",\"sub\":\"1\",\"iat\":1700000000,\"exp\":1700000900}",
            "issuer" },
        { "{\"aud\":\"penstock\",\"sub\":\"1\",\"iat\":1700000000,\"exp\":1700000900}", "issuer" },
        { "{\"iss\":\"penstock\",\"aud\":\"other\",\"sub\":\"1\",\"iat\":1700000000,\"exp\":1700000900}", "audience" },
        { "{\"iss\":\"penstock\",\"aud\":[],\"sub\":\"1\",\"iat\":1700000000,\"exp\":1700000900}", "audience" },
        { "{\"iss\":\"penstock\",\"sub\":\"1\",\"iat\":1700000000,\"exp\":1700000900}", "audience" },
        { "{\"iss\":\"penstock\",\"aud\":\"penstock\",\"iat\":1700000000,\"exp\":1700000900}", "subject" },
        { "{\"iss\":\"penstock\",\"aud\":\"penstock\",\"sub\":1,\"iat\":1700000000,\"exp\":1700000900}", "subject" },
        { "{\"iss\":\"penstock\",\"aud\":\"penstock\",\"sub\":\"0\",\"iat\":1700000000,\"exp\":1700000900}",
            "subject" },
        { "{\"iss\":\"penstock\",\"aud\":\"penstock\",\"sub\":\"01\",\"iat\":1700000000,\"exp\":1700000900}",
            "subject" },
        { "{\"iss\":\"penstock\",\"aud\":\"penstock\",\"sub\":\"-1\",\"iat\":1700000000,\"exp\":1700000900}",
            "subject" },
        { "{\"iss\":\"penstock\",\"aud\":\"penstock\",\"sub\":\"99999999999999999999\",\"iat\":1,\"exp\":1700000900}",
            "subject" },
        { "{\"iss\":\"penstock\",\"aud\":\"penstock\",\"sub\":\"service:\",\"iat\":1,\"exp\":1700000900}", "subject" },
        { "{\"iss\":\"penstock\",\"aud\":\"penstock\",\"sub\":\"1\",\"iat\":1700000000}", "exp" },
        { "{\"iss\":\"penstock\",\"aud\":\"penstock\",\"sub\":\"1\",\"exp\":1700000900}", "iat" },
        { "{\"iss\":\"penstock\",\"aud\":\"penstock\",\"sub\":\"1\",\"iat\":1700000000,\"exp\":\"1700000900\"}",
            "exp" },
        { "{\"iss\":\"penstock\",\"aud\":\"penstock\",\"sub\":\"1\",\"iat\":1700000000,\"exp\":1.7e9}", "exp" },
        { "{\"iss\":\"penstock\",\"aud\":\"penstock\",\"sub\":\"1\",\"iat\":1699999000,\"exp\":1699999900}",
            "expired" },
        { "{\"iss\":\"penstock\",\"aud\":\"penstock\",\"sub\":\"1\",\"iat\":1700000031,\"exp\":1700000900}",
            "not valid yet" },
        { "{\"iss\":\"penstock\",\"aud\":\"penstock\",\"sub\":\"1\",\"iat\":1,\"nbf\":1700000031,\"exp\":1700000900}",
            "not valid yet" },
        { "{\"iss\":\"penstock\",\"aud\":\"penstock\",\"sub\":\"1\",\"iat\":1,\"exp\":1700000900,\"exp\":1900000000}",
            "malformed payload" },
        { "{\"iss\":\"penstock\",\"aud\":\"penstock\",\"sub\":\"1\",\"iat\":1,\"exp\":1700000900} {}",
            "malformed payload" },
        { "{\"iss\":\"penstock\",\"aud\":\"penstock\",\"sub\":\"1\",\"iat\":1,\"exp\":1700000900,\"scope\":7}",
            "scope" },
        { "[]", "malformed payload" },
        { "\"text\"", "malformed payload" },
        { "", "malformed payload" },
    };
    struct world world;
    world_init(&world);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bytes payload = { cases[i].payload, strlen(cases[i].payload) };
        CLEANUP(xfree) char *token = token_es256(world.key, world.header, payload);
        struct error e;
        if (cases[i].why)
            expect_refused(&world, token, cases[i].why);
        else
            cr_expect(verify_at(&world, token, NOW_S, &e), "%s: %s", cases[i].payload, e.message);
    }
    world_release(&world);
}

static const char good_payload[] =
    "{\"iss\":\"penstock\",\"aud\":\"penstock\",\"sub\":\"1\",\"iat\":1700000000,\"exp\":1700000900}";

Test(jwt, a_header_that_chooses_the_algorithm_is_refused)
{
    static const struct {
        const char *header, *why; /* %s in header: the kid */
    } cases[] = {
        { "{\"alg\":\"none\",\"kid\":\"%s\"}", "ES256" },
        { "{\"alg\":\"None\",\"kid\":\"%s\"}", "ES256" },
        { "{\"alg\":\"es256\",\"kid\":\"%s\"}", "ES256" },
        { "{\"alg\":\"ES384\",\"kid\":\"%s\"}", "ES256" },
        { "{\"alg\":\"RS256\",\"kid\":\"%s\"}", "ES256" },
        { "{\"alg\":[\"ES256\"],\"kid\":\"%s\"}", "ES256" },
        { "{\"kid\":\"%s\"}", "ES256" },
        { "{\"alg\":\"none\",\"alg\":\"ES256\",\"kid\":\"%s\"}", "malformed header" },
        { "{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"at+jwt\"}", "type" },
        { "{\"alg\":\"ES256\",\"kid\":\"%s\",\"crit\":[\"exp\"]}", "extension" },
        { "{\"alg\":\"ES256\",\"kid\":\"%s\"", "malformed header" },
        { "[\"ES256\",\"%s\"]", "malformed header" },
        { "{\"alg\":\"ES256\"}", "names no key" },
        { "{\"alg\":\"ES256\",\"kid\":7}", "names no key" },
        { "{\"alg\":\"ES256\",\"kid\":\"\"}", "unknown key" },
        { "{\"alg\":\"ES256\",\"kid\":\"%s\\u0000x\"}", "malformed header" },
    };
    struct world world;
    world_init(&world);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char header[512];
        const char *hole = strstr(cases[i].header, "%s");
        int before = hole ? (int)(hole - cases[i].header) : (int)strlen(cases[i].header);
        (void)snprintf(
            header, sizeof header, "%.*s%s%s", before, cases[i].header, hole ? world.kid : "", hole ? hole + 2 : "");
        CLEANUP(xfree)
        char *token = token_es256(world.key, header, (struct bytes){ good_payload, strlen(good_payload) });
        expect_refused(&world, token, cases[i].why);
    }
    world_release(&world);
}

Test(jwt, hs256_keyed_with_our_public_key_is_refused)
{
    struct world world;
    world_init(&world);
    CLEANUP(xfree) char *pem = public_pem(world.key);
    CLEANUP(xfree) char *header = xasprintf("{\"alg\":\"HS256\",\"kid\":\"%s\",\"typ\":\"JWT\"}", world.kid);
    CLEANUP(xfree) char *with_pem = token_hs256((struct bytes){ pem, strlen(pem) }, header, good_payload);
    expect_refused(&world, with_pem, "ES256");
    CLEANUP(xfree)
    char *with_jwks = token_hs256((struct bytes){ world.jwks, strlen(world.jwks) }, header, good_payload);
    expect_refused(&world, with_jwks, "ES256");
    /* The same mac under an honest header: 32 bytes are no ES256 signature. */
    CLEANUP(xfree) char *disguised = token_hs256((struct bytes){ pem, strlen(pem) }, world.header, good_payload);
    expect_refused(&world, disguised, "wrong signature");
    world_release(&world);
}

Test(jwt, an_unknown_key_says_that_fetching_keys_may_help)
{
    struct world world, other;
    world_init(&world);
    world_init(&other);
    CLEANUP(xfree) char *token = honest_token(&other);
    struct jwt_claims claims;
    bool unknown_kid = false;
    struct error e = { 0 };
    cr_expect_not(jwt_verify(world.verifier, token, NOW_S, &claims, &unknown_kid, &e));
    cr_expect(unknown_kid);
    /* Signed by the other's key, under our kid. */
    CLEANUP(xfree)
    char *forged = token_es256(other.key, world.header, (struct bytes){ good_payload, strlen(good_payload) });
    cr_expect_not(jwt_verify(world.verifier, forged, NOW_S, &claims, &unknown_kid, &e));
    cr_expect_not(unknown_kid);
    cr_expect_not_null(strstr(e.message, "wrong signature"));
    world_release(&world);
    world_release(&other);
}

/* Each single-character change, cached original or not: base64url leaves no bit that may be changed unseen. */
Test(jwt, an_altered_token_is_refused_also_when_the_original_is_cached)
{
    struct world world;
    world_init(&world);
    CLEANUP(xfree) char *token = honest_token(&world);
    struct error e;
    cr_assert(verify_at(&world, token, NOW_S, &e), "%s", e.message);
    size_t accepted = 0; /* counted: an assertion of Criterion costs more than a verification */
    for (char *p = token; *p; p++) {
        char kept = *p;
        for (const char *other = "ABgw9-_.=+/ \n"; *other; other++) {
            *p = *other;
            accepted += *other != kept && verify_at(&world, token, NOW_S, &e);
        }
        *p = kept;
    }
    cr_expect_eq(accepted, 0);
    cr_expect(verify_at(&world, token, NOW_S, &e), "%s", e.message);
    world_release(&world);
}

Test(jwt, a_truncated_or_padded_token_is_refused)
{
    struct world world;
    world_init(&world);
    CLEANUP(xfree) char *token = honest_token(&world);
    size_t accepted = 0;
    for (size_t len = 0; len < strlen(token); len++) {
        CLEANUP(xfree) char *cut = xstrndup(token, len);
        struct error e;
        accepted += verify_at(&world, cut, NOW_S, &e);
    }
    cr_expect_eq(accepted, 0);
    static const char *const tails[] = { "=", "==", ".", ".x", " ", "\n", "A", "AA", "%3D" };
    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        CLEANUP(xfree) char *longer = xasprintf("%s%s", token, tails[i]);
        struct error e;
        cr_expect_not(verify_at(&world, longer, NOW_S, &e), "with \"%s\"", tails[i]);
    }
    static const char *const heads[] = { " ", "=", ".", "Bearer " };
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        CLEANUP(xfree) char *longer = xasprintf("%s%s", heads[i], token);
        struct error e;
        cr_expect_not(verify_at(&world, longer, NOW_S, &e), "after \"%s\"", heads[i]);
    }
    world_release(&world);
}

/* The last character of a signature carries two bits; a lax decoder takes sixteen texts for each value. */
Test(jwt, bits_behind_the_last_byte_are_refused)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    struct world world;
    world_init(&world);
    CLEANUP(xfree) char *token = honest_token(&world);
    char *last = token + strlen(token) - 1;
    const char *digit = strchr(digits, *last);
    cr_assert_not_null(digit);
    cr_assert_eq((digit - digits) % 16, 0);
    for (int i = 1; i < 16; i++) {
        *last = digit[i];
        expect_refused(&world, token, "wrong signature");
    }
    world_release(&world);
}

Test(jwt, a_huge_token_is_refused_unread)
{
    struct world world;
    world_init(&world);
    const size_t size = 1u << 20;
    CLEANUP(xfree) char *huge = xmalloc(size + 1);
    memset(huge, 'A', size);
    huge[size] = '\0';
    huge[10] = huge[20] = '.';
    expect_refused(&world, huge, "over 4096 bytes");
    huge[JWT_TOKEN_MAX] = '\0';
    expect_refused(&world, huge, "malformed header");
    world_release(&world);
}

Test(jwt, signatures_at_the_edges_of_the_field_are_refused)
{
    struct world world;
    world_init(&world);
    CLEANUP(xfree) char *token = honest_token(&world);
    char *signature = strrchr(token, '.') + 1;
    static const char *const fills[] = { "A", "_" }; /* r = s = 0 (CVE-2022-21449); r = s = 2^256 - 1 */
    for (size_t i = 0; i < ARRAY_LEN(fills); i++) {
        memset(signature, *fills[i], 86);
        signature[85] = *fills[i] == 'A' ? 'A' : 'w'; /* 512 bits are 85 characters and 2 bits */
        expect_refused(&world, token, "wrong signature");
    }
    world_release(&world);
}

Test(jwt, new_keys_end_what_the_old_ones_had_in_the_cache)
{
    struct world world, other;
    world_init(&world);
    world_init(&other);
    CLEANUP(xfree) char *token = honest_token(&world);
    struct error e;
    cr_assert(verify_at(&world, token, NOW_S, &e));
    cr_assert(jwt_verifier_set_keys(world.verifier, other.jwks, &e), "%s", e.message);
    expect_refused(&world, token, "unknown key");
    cr_assert(jwt_verifier_set_keys(world.verifier, world.jwks, &e), "%s", e.message);
    cr_expect(verify_at(&world, token, NOW_S, &e), "%s", e.message);
    world_release(&world);
    world_release(&other);
}

Test(jwt, a_bad_key_set_leaves_the_keys_that_were_there)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "{\"keys\":{}}",
        "{\"keys\":[]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"a\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"a\",\"x\":\"AQAB\",\"y\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"a\","
        "\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\",\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}]"
        "}",
        "{\"keys\":[],\"keys\":[]}",
    };
    struct world world;
    world_init(&world);
    CLEANUP(xfree) char *token = honest_token(&world);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error e = { 0 };
        cr_expect_not(jwt_verifier_set_keys(world.verifier, bad[i], &e), "%s", bad[i]);
        cr_expect_eq(e.kind, ERROR_INVALID);
        cr_expect(verify_at(&world, token, NOW_S, &e), "after %s: %s", bad[i], e.message);
    }
    world_release(&world);
}

Test(jwt, more_tokens_than_the_cache_holds_are_all_verified)
{
    struct world world;
    world_init(&world);
    enum { TOKENS = 6000 };
    char **tokens = xcalloc(TOKENS, sizeof *tokens);
    struct error e = { 0 };
    size_t accepted = 0;
    for (size_t i = 0; i < TOKENS; i++) {
        if (jwt_sign(world.signer, "penstock", "penstock", "42", "trade", NOW_S, LIFETIME_S, &tokens[i], &e))
            accepted += verify_at(&world, tokens[i], NOW_S, &e);
    }
    for (size_t i = 0; i < TOKENS; i++) {
        accepted += verify_at(&world, tokens[i], NOW_S, &e);
        xfree(tokens[i]);
    }
    cr_expect_eq(accepted, 2 * TOKENS);
    xfree(tokens);
    world_release(&world);
}

struct hammer {
    struct world *world;
    char **tokens;
    int failures;
};

static void *hammer(void *context)
{
    struct hammer *hammer = context;
    for (int i = 0; i < 300; i++) {
        struct error e;
        if (!verify_at(hammer->world, hammer->tokens[i % 8], NOW_S, &e))
            hammer->failures++;
    }
    return NULL;
}

Test(jwt, threads_share_a_verifier_while_its_keys_are_set)
{
    enum { THREADS = 4 };
    struct world world;
    world_init(&world);
    char *tokens[8];
    for (size_t i = 0; i < ARRAY_LEN(tokens); i++)
        tokens[i] = honest_token(&world);
    pthread_t threads[THREADS];
    struct hammer hammers[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        hammers[i] = (struct hammer){ &world, tokens, 0 };
        cr_assert_eq(pthread_create(&threads[i], NULL, hammer, &hammers[i]), 0);
    }
    for (int i = 0; i < 50; i++) {
        struct error e = { 0 };
        cr_expect(jwt_verifier_set_keys(world.verifier, world.jwks, &e));
    }
    for (size_t i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        cr_expect_eq(hammers[i].failures, 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(tokens); i++)
        xfree(tokens[i]);
    world_release(&world);
}

Test(jwt, the_kid_is_the_thumbprint_of_rfc_7638)
{
    struct world world;
    world_init(&world);
    cr_expect_eq(strlen(world.kid), 43);
    cr_expect_null(strstr(world.jwks, "\"d\""), "no private part");
    /* Opened again, the key and so the kid are the same. */
    struct jwt_signer *again = NULL;
    struct error e = { 0 };
    cr_assert(jwt_signer_open(world.path, false, &again, &e), "%s", e.message);
    CLEANUP(xfree) char *jwks = jwt_signer_jwks(again);
    cr_expect_str_eq(jwks, world.jwks);
    jwt_signer_free(again);
    world_release(&world);
}

Test(jwt, a_new_key_file_is_for_its_owner_only_and_leaves_no_temporary)
{
    struct world world;
    world_init(&world);
    struct stat status;
    cr_assert_eq(stat(world.path, &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0600);
    (void)unlink(world.path);
    cr_expect_eq(rmdir(world.dir), 0, "nothing else is in the directory");
    world_release(&world);
}

Test(jwt, a_key_file_that_is_missing_broken_or_of_another_kind_stops_the_start)
{
    char dir[] = "/tmp/test_jwt.XXXXXX", path[64];
    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/key.pem", dir);
    struct jwt_signer *signer = NULL;
    struct error e = { 0 };
    cr_expect_not(jwt_signer_open(path, false, &signer, &e), "missing");
    cr_expect_eq(e.kind, ERROR_FATAL);
    static const char *const texts[] = {
        "",
        "not a key\n",
        /* Ed25519, RFC 8410 §10.3 */
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
        "-----END PRIVATE KEY-----\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        FILE *file = fopen(path, "we");
        cr_assert_not_null(file);
        (void)fputs(texts[i], file);
        (void)fclose(file);
        cr_expect_not(jwt_signer_open(path, true, &signer, &e), "%s", texts[i]);
        cr_expect_null(signer);
    }
    (void)unlink(path);
    (void)rmdir(dir);
}
