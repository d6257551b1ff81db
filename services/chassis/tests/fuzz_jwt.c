/* libFuzzer: bytes from outside, as a token, as the payload of a token that is rightly signed, as its header, as a key
 * set. Whatever comes: no crash, and nothing but UNAUTHENTICATED (INVALID for a key set). Only the honest signer's
 * claims pass. */
#include "../jwt.h"
#include "token_maker.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct jwt_verifier *verifier;
static EVP_PKEY *key;
static char *header;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    char dir[] = "/tmp/fuzz_jwt.XXXXXX";
    char *made = mkdtemp(dir);
    assert(made);
    CLEANUP(xfree) char *path = xasprintf("%s/key.pem", dir);
    struct jwt_signer *signer = NULL;
    struct error e = { 0 };
    bool opened = jwt_signer_open(path, true, &signer, &e);
    assert(opened);
    CLEANUP(xfree) char *jwks = jwt_signer_jwks(signer);
    CLEANUP(xfree) char *kid = kid_of_jwks(jwks);
    header = xasprintf("{\"alg\":\"ES256\",\"kid\":\"%s\"}", kid);
    key = key_from_pem_file(path);
    verifier = jwt_verifier_new("penstock", "penstock");
    bool set = jwt_verifier_set_keys(verifier, jwks, &e);
    assert(set);
    jwt_signer_free(signer);
    (void)unlink(path);
    (void)rmdir(dir);
    return 0;
}

static bool verify(const char *token)
{
    struct jwt_claims claims;
    bool unknown_kid = false;
    struct error e = { 0 };
    bool verified = jwt_verify(verifier, token, 1700000000, &claims, &unknown_kid, &e);
    assert(verified || e.kind == ERROR_UNAUTHENTICATED);
    assert(!verified || (claims.expires_at_s > 1700000000 - 31 && *claims.subject != '\0'));
    return verified;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    CLEANUP(xfree) char *text = xstrndup((const char *)data + 1, size - 1);
    if (data[0] % 4 == 0) {
        bool verified = verify(text);
        assert(!verified);
    } else if (data[0] % 4 == 1) {
        CLEANUP(xfree) char *token = token_es256(key, header, (struct bytes){ data + 1, size - 1 });
        (void)verify(token);
    } else if (data[0] % 4 == 2) {
        CLEANUP(xfree) char *token = token_es256(key, text, (struct bytes){ "{}", 2 });
        bool verified = verify(token);
        assert(!verified);
    } else {
        struct jwt_verifier *other = jwt_verifier_new("penstock", "penstock");
        struct error e = { 0 };
        bool set = jwt_verifier_set_keys(other, text, &e);
        assert(set || e.kind == ERROR_INVALID);
        jwt_verifier_free(other);
    }
    return 0;
}
