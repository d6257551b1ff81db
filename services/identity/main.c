/* identity -- who a client is: accounts, passwords, tokens. In: HTTP. Out: UserSignedUp on identity.users.v1. */
#include "http.h"
#include "identity.h"
#include "refresh_token.h"

#include "../chassis/log.h"
#include "../chassis/service.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void stop(void *state)
{
    struct identity *identity = state;
    signing_keys_free(identity->keys);
    login_limiter_free(identity->limiter);
    xfree(identity);
}

/* Our own tokens need no key over the network. */
static bool trust_own_keys(struct identity *identity, struct jwt_verifier *verifier, struct error *e)
{
    CLEANUP(xfree) char *jwks = signing_keys_jwks(identity->keys);
    return jwt_verifier_set_keys(verifier, jwks, e);
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
    const struct signing_key_times times = { .publish_s = settings->signing_key_publish_s,
        .lifetime_s = settings->access_token_lifetime_s + JWT_LEEWAY_S,
        .max_age_s = settings->signing_key_days * 86400 };
    if (!password_hash(nobodys_password, identity->absent_hash, e) ||
        !signing_keys_open(settings->signing_key_path, &times, &identity->keys, e))
        return false;
    identity->limiter = login_limiter_new((uint32_t)settings->login_attempts_max,
        (uint32_t)settings->login_address_attempts_max, (uint32_t)settings->login_window_s);
    return trust_own_keys(identity, verifier, e);
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

/* Keys follow one another while the service runs. */
static bool follow_keys(struct service_runtime *runtime, struct error *e)
{
    enum { TICK_MS = 5000, SLICE_MS = 100 };
    struct identity *identity = service_state();
    char said[sizeof e->message] = ""; /* the same trouble is told once */
    for (int ms = 0; !service_stopping(runtime); ms = (ms + SLICE_MS) % TICK_MS) {
        struct error trouble = { 0 };
        bool changed = false;
        nanosleep(&(struct timespec){ .tv_nsec = SLICE_MS * 1000000L }, NULL);
        if (ms != 0)
            continue;
        bool done = signing_keys_tick(identity->keys, now_us() / 1000000, &changed, &trouble) &&
                    (!changed || trust_own_keys(identity, service_verifier(runtime), &trouble));
        if (done && changed)
            log_info("the set of signing keys has changed");
        if (!done && strcmp(said, trouble.message) != 0)
            log_error("signing keys", &trouble);
        memcpy(said, trouble.message, sizeof said);
    }
    (void)e;
    return true;
}

/* `rotate-key`, beside the running service, which takes notice. */
static int rotate_key(void)
{
    struct settings settings = { 0 };
    struct error e = { 0 };
    bool done = config_load(settings_items, &settings, &e) && signing_keys_rotate(settings.signing_key_path, &e);
    if (done)
        printf("a new key is published from now on; it signs in %" PRId64 " s\n", settings.signing_key_publish_s);
    else
        fprintf(stderr, "%s\n", e.message);
    config_release(settings_items, &settings);
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "rotate-key") == 0)
        return rotate_key();
    static const struct service service = {
        .name = "identity",
        .port = 8083,
        .settings = settings_items,
        .settings_size = sizeof(struct settings),
        .routes = routes,
        .database = true,
        .start = start,
        .stop = stop,
        .background = follow_keys,
    };
    return service_main(&service, argc, argv);
}
