/* identity -- who a client is: accounts, passwords, tokens. In: HTTP. Out: UserSignedUp on identity.users.v1. */
#include "http.h"
#include "identity.h"
#include "refresh_token.h"

#include "../chassis/service.h"

static void stop(void *state)
{
    struct identity *identity = state;
    jwt_signer_free(identity->signer);
    login_limiter_free(identity->limiter);
    xfree(identity->jwks);
    xfree(identity);
}

static bool open_identity(struct identity *identity, struct jwt_verifier *verifier, struct error *e)
{
    const struct settings *settings = identity->settings;
    identity->issuer = jwt_verifier_issuer(verifier);
    identity->audience = jwt_verifier_audience(verifier);
    char nobodys_password[REFRESH_TOKEN_TEXT];
    if (sodium_init() < 0)
        return error_set(e, ERROR_FATAL, "libsodium does not start");
    refresh_token_new(nobodys_password);
    if (!password_hash(nobodys_password, identity->absent_hash, e) ||
        !jwt_signer_open(settings->signing_key_path, true, &identity->signer, e))
        return false;
    identity->jwks = jwt_signer_jwks(identity->signer);
    identity->limiter = login_limiter_new((uint32_t)settings->login_attempts_max,
        (uint32_t)settings->login_address_attempts_max, (uint32_t)settings->login_window_s);
    /* Our own tokens need no key over the network. */
    return jwt_verifier_set_keys(verifier, identity->jwks, e);
}

static bool start(struct service_runtime *runtime, const void *settings, void **ret_state, struct error *e)
{
    struct identity *identity = xcalloc(1, sizeof *identity);
    identity->settings = settings;
    if (!open_identity(identity, service_verifier(runtime), e)) {
        stop(identity);
        return false;
    }
    *ret_state = identity;
    return true;
}

int main(int argc, char **argv)
{
    static const struct service service = {
        .name = "identity",
        .port = 8083,
        .settings = settings_items,
        .settings_size = sizeof(struct settings),
        .routes = routes,
        .database = true,
        .start = start,
        .stop = stop,
    };
    return service_main(&service, argc, argv);
}
