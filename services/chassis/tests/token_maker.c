#include "token_maker.h"

#include "../base64url.h"

#include <assert.h>
#include <jansson.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <string.h>

static char *encode(struct bytes bytes)
{
    char *text = xmalloc(BASE64URL_SIZE(bytes.len));
    base64url_encode(bytes.data, bytes.len, text);
    return text;
}

static char *signing_input(const char *header, struct bytes payload)
{
    CLEANUP(xfree) char *first = encode((struct bytes){ header, strlen(header) });
    CLEANUP(xfree) char *second = encode(payload);
    return xasprintf("%s.%s", first, second);
}

static char *join(const char *input, const uint8_t *signature, size_t len)
{
    CLEANUP(xfree) char *text = encode((struct bytes){ signature, len });
    return xasprintf("%s.%s", input, text);
}

char *token_es256(EVP_PKEY *key, const char *header, struct bytes payload)
{
    CLEANUP(xfree) char *input = signing_input(header, payload);
    uint8_t der[80], raw[64];
    size_t len = sizeof der;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int done = EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) &&
               EVP_DigestSign(context, der, &len, (const uint8_t *)input, strlen(input));
    EVP_MD_CTX_free(context);
    assert(done);
    const uint8_t *in = der;
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &in, (long)len);
    assert(signature);
    (void)BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw, 32);
    (void)BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw + 32, 32);
    ECDSA_SIG_free(signature);
    return join(input, raw, sizeof raw);
}

char *token_hs256(struct bytes secret, const char *header, const char *payload)
{
    CLEANUP(xfree) char *input = signing_input(header, (struct bytes){ payload, strlen(payload) });
    uint8_t mac[32];
    unsigned len = sizeof mac;
    (void)HMAC(EVP_sha256(), secret.data, (int)secret.len, (const uint8_t *)input, strlen(input), mac, &len);
    return join(input, mac, len);
}

char *kid_of_jwks(const char *jwks)
{
    json_auto_t *root = json_loads(jwks, 0, NULL);
    return xstrdup(json_string_value(json_object_get(json_array_get(json_object_get(root, "keys"), 0), "kid")));
}

EVP_PKEY *key_from_pem_file(const char *path)
{
    FILE *file = fopen(path, "re");
    assert(file);
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    (void)fclose(file);
    assert(key);
    return key;
}

char *public_pem(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    (void)PEM_write_bio_PUBKEY(bio, key);
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    char *text = xstrndup(data, (size_t)len);
    BIO_free(bio);
    return text;
}
