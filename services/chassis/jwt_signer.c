#include "base64url.h"
#include "jwt.h"
#include "jwt_keys.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)
DEFINE_CLEANUP(ECDSA_SIG *, ECDSA_SIG_free)

enum { SHA256_LEN = 32, SIGNATURE_DER_MAX = 80 };

struct jwt_signer {
    EVP_PKEY *key;
    char x[BASE64URL_SIZE(JWT_COORDINATE_LEN)], y[BASE64URL_SIZE(JWT_COORDINATE_LEN)];
    char kid[BASE64URL_SIZE(SHA256_LEN)];
    char *header; /* base64url of the header, the same for each token */
};

static bool io_error(struct error *e, const char *what, const char *path)
{
    return error_set(e, ERROR_FATAL, "cannot %s the signing key %s: %s", what, path, strerror(errno));
}

/* Makes the directory entry itself durable. */
static bool sync_directory_of(const char *path)
{
    CLEANUP(xfree) char *copy = xstrdup(path);
    FILE *directory = fopen(dirname(copy), "re");
    bool done = directory && fsync(fileno(directory)) == 0;
    if (directory)
        (void)fclose(directory);
    return done;
}

static bool write_new_key(int fd, struct error *e)
{
    CLEANUP(EVP_PKEY_free) EVP_PKEY *key = EVP_EC_gen("P-256");
    FILE *file = fdopen(fd, "w");
    if (!key || !file) {
        if (file)
            (void)fclose(file);
        else
            (void)close(fd);
        return error_set(e, ERROR_FATAL, "cannot generate a signing key");
    }
    bool written = PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 && fflush(file) == 0 &&
                   fsync(fileno(file)) == 0;
    if (fclose(file) != 0 || !written)
        return error_set(e, ERROR_FATAL, "cannot write a new signing key: %s", strerror(errno));
    return true;
}

/* Under a temporary name first, so that no one ever reads half a key; then link(), which unlike rename() does not
 * replace: when two processes start together, the key of the first is the key of both. */
static bool create_key(const char *path, struct error *e)
{
    CLEANUP(xfree) char *temporary = xasprintf("%s.XXXXXX", path);
    int fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return io_error(e, "create", path);
    bool done = write_new_key(fd, e);
    if (done && link(temporary, path) != 0 && errno != EEXIST)
        done = io_error(e, "create", path);
    (void)unlink(temporary);
    if (done && !sync_directory_of(path))
        done = io_error(e, "create", path);
    return done;
}

/* RFC 7638: the required members in the order of their names, without blanks. */
static void thumbprint(struct jwt_signer *signer)
{
    CLEANUP(xfree)
    char *text = xasprintf("{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", signer->x, signer->y);
    uint8_t digest[SHA256_LEN];
    size_t len = 0;
    int hashed = EVP_Q_digest(NULL, "SHA256", NULL, text, strlen(text), digest, &len);
    assert(hashed == 1 && len == sizeof digest);
    base64url_encode(digest, sizeof digest, signer->kid);
}

static char *base64url_text(const char *text)
{
    size_t len = strlen(text);
    char *encoded = xmalloc(BASE64URL_SIZE(len));
    base64url_encode(text, len, encoded);
    return encoded;
}

/* Takes *key. */
static struct jwt_signer *signer_new(EVP_PKEY **key)
{
    uint8_t x[JWT_COORDINATE_LEN], y[JWT_COORDINATE_LEN];
    if (!jwt_key_point(*key, x, y))
        return NULL;
    struct jwt_signer *signer = xcalloc(1, sizeof *signer);
    signer->key = TAKE(*key);
    base64url_encode(x, sizeof x, signer->x);
    base64url_encode(y, sizeof y, signer->y);
    thumbprint(signer);
    CLEANUP(xfree) char *header = xasprintf("{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"JWT\"}", signer->kid);
    signer->header = base64url_text(header);
    return signer;
}

static int no_passphrase(char *buffer, int size, int writing, void *context)
{
    (void)buffer, (void)size, (void)writing, (void)context;
    return -1; /* without this OpenSSL would ask at the terminal */
}

bool jwt_signer_open(const char *pem_path, bool create_if_missing, struct jwt_signer **ret, struct error *e)
{
    if (create_if_missing && access(pem_path, F_OK) != 0 && errno == ENOENT && !create_key(pem_path, e))
        return false;
    FILE *file = fopen(pem_path, "re");
    if (!file)
        return io_error(e, "read", pem_path);
    CLEANUP(EVP_PKEY_free) EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, no_passphrase, NULL);
    (void)fclose(file);
    if (!key)
        return error_set(e, ERROR_FATAL, "the signing key %s is not a private key in PEM", pem_path);
    struct jwt_signer *signer = signer_new(&key);
    if (!signer)
        return error_set(e, ERROR_FATAL, "the signing key %s is not a P-256 key", pem_path);
    *ret = signer;
    return true;
}

void jwt_signer_free(struct jwt_signer *signer)
{
    if (!signer)
        return;
    EVP_PKEY_free(signer->key);
    xfree(signer->header);
    xfree(signer);
}

static bool sign_text(const struct jwt_signer *signer, const char *text, uint8_t ret_raw[JWT_SIGNATURE_LEN])
{
    uint8_t der[SIGNATURE_DER_MAX];
    size_t der_len = sizeof der;
    CLEANUP(EVP_MD_CTX_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context || EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, signer->key) != 1 ||
        EVP_DigestSign(context, der, &der_len, (const uint8_t *)text, strlen(text)) != 1)
        return false;
    const uint8_t *in = der;
    CLEANUP(ECDSA_SIG_free) ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &in, (long)der_len);
    const int half = JWT_SIGNATURE_LEN / 2;
    return signature && BN_bn2binpad(ECDSA_SIG_get0_r(signature), ret_raw, half) == half &&
           BN_bn2binpad(ECDSA_SIG_get0_s(signature), ret_raw + half, half) == half;
}

bool jwt_sign(const struct jwt_signer *signer, const char *issuer, const char *audience, const char *subject,
    const char *scope, int64_t now_s, int64_t lifetime_s, char **ret_token, struct error *e)
{
    assert(lifetime_s > 0);
    json_auto_t *payload = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s}", "iss", issuer, "aud", audience, "sub", subject,
        "iat", (json_int_t)now_s, "exp", (json_int_t)(now_s + lifetime_s), "scope", scope);
    CLEANUP(xfree) char *text = payload ? json_dumps(payload, JSON_COMPACT) : NULL;
    if (!text)
        return error_set(e, ERROR_INVALID, "a claim is not valid UTF-8");
    CLEANUP(xfree) char *encoded = base64url_text(text);
    CLEANUP(xfree) char *signed_text = xasprintf("%s.%s", signer->header, encoded);
    uint8_t raw[JWT_SIGNATURE_LEN];
    if (!sign_text(signer, signed_text, raw))
        return error_set(e, ERROR_FATAL, "cannot sign a token");
    char signature[BASE64URL_SIZE(JWT_SIGNATURE_LEN)];
    base64url_encode(raw, sizeof raw, signature);
    if (strlen(signed_text) + 1 + strlen(signature) > JWT_TOKEN_MAX)
        return error_set(e, ERROR_INVALID, "the token would be over %d bytes", JWT_TOKEN_MAX);
    *ret_token = xasprintf("%s.%s", signed_text, signature);
    return true;
}

const char *jwt_signer_kid(const struct jwt_signer *signer)
{
    return signer->kid;
}

char *jwt_signers_jwks(const struct jwt_signer *const *signers, size_t count)
{
    char *text = xstrdup("{\"keys\":[");
    for (size_t i = 0; i < count; i++) {
        CLEANUP(xfree) char *before = text;
        text = xasprintf("%s%s{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":\"sig\",\"alg\":\"ES256\",\"kid\":\"%s\","
                         "\"x\":\"%s\",\"y\":\"%s\"}",
            before, i ? "," : "", signers[i]->kid, signers[i]->x, signers[i]->y);
    }
    CLEANUP(xfree) char *open = text;
    return xasprintf("%s]}", open);
}

char *jwt_signer_jwks(const struct jwt_signer *signer)
{
    return jwt_signers_jwks(&signer, 1);
}
