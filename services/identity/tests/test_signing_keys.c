/* signing_keys: each key is known before it signs, and for as long as anything it signed is good. */
#include "../signing_keys.h"

#include <criterion/criterion.h>
#include <event_bus/base.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PUBLISH_S = 600, LIFETIME_S = 930, MAX_AGE_S = 86400 };

struct world {
    char dir[64], path[80];
    struct signing_keys *keys;
    int64_t now_s;
};

static struct signing_keys *open_keys(struct world *world, int64_t max_age_s)
{
    struct signing_keys *keys = NULL;
    struct error e = { 0 };
    const struct signing_key_times times = { PUBLISH_S, LIFETIME_S, max_age_s };
    cr_assert(signing_keys_open(world->path, &times, &keys, &e), "%s", e.message);
    return keys;
}

static void world_init(struct world *world, int64_t max_age_s)
{
    *world = (struct world){ .dir = "/tmp/test_signing_keys.XXXXXX", .now_s = now_us() / 1000000 };
    cr_assert_not_null(mkdtemp(world->dir));
    (void)snprintf(world->path, sizeof world->path, "%s/key.pem", world->dir);
    world->keys = open_keys(world, max_age_s);
}

static void world_release(struct world *world)
{
    char command[128];
    signing_keys_free(world->keys);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", world->dir);
    cr_assert_eq(system(command), 0);
}

/* Whether the set has changed. */
static bool tick(struct world *world, int64_t after_s)
{
    struct error e = { 0 };
    bool changed = false;
    world->now_s += after_s;
    cr_assert(signing_keys_tick(world->keys, world->now_s, &changed, &e), "%s", e.message);
    return changed;
}

static void rotate(const struct world *world)
{
    struct error e = { 0 };
    cr_assert(signing_keys_rotate(world->path, &e), "%s", e.message);
}

static size_t published(const struct world *world)
{
    CLEANUP(xfree) char *text = signing_keys_jwks(world->keys);
    json_auto_t *jwks = json_loads(text, 0, NULL);
    return json_array_size(json_object_get(jwks, "keys"));
}

static char *sign(const struct world *world)
{
    char *token = NULL;
    struct error e = { 0 };
    cr_assert(signing_keys_sign(world->keys, "i", "a", "7", "trade", world->now_s, 900, &token, &e), "%s", e.message);
    return token;
}

/* To whoever reads the set now. */
static bool is_good(const struct world *world, const char *token)
{
    CLEANUP(xfree) char *jwks = signing_keys_jwks(world->keys);
    CLEANUP(jwt_verifier_free) struct jwt_verifier *verifier = jwt_verifier_new("i", "a");
    struct jwt_claims claims;
    struct error e = { 0 };
    bool unknown_kid = false;
    cr_assert(jwt_verifier_set_keys(verifier, jwks, &e), "%s", e.message);
    return jwt_verify(verifier, token, world->now_s, &claims, &unknown_kid, &e);
}

static bool same_key(const char *a, const char *b)
{
    return strncmp(a, b, strcspn(a, ".") + 1) == 0; /* the header names it */
}

Test(signing_keys, the_next_is_published_before_it_signs_and_the_one_before_for_as_long_as_its_tokens_live)
{
    struct world world;
    world_init(&world, 0);
    CLEANUP(xfree) char *first = sign(&world);
    cr_expect_not(tick(&world, 1000 * MAX_AGE_S), "nobody has asked");
    world.now_s -= 1000 * MAX_AGE_S;
    rotate(&world);
    struct error e = { 0 };
    cr_expect_not(signing_keys_rotate(world.path, &e), "one at a time");
    cr_expect_eq(e.kind, ERROR_CONFLICT);
    cr_expect(tick(&world, 1));
    cr_expect_eq(published(&world), 2);
    CLEANUP(xfree) char *second = sign(&world);
    cr_expect(same_key(first, second), "published, but it does not sign");
    cr_expect_not(tick(&world, PUBLISH_S - 30));
    cr_expect(tick(&world, 300));
    CLEANUP(xfree) char *third = sign(&world);
    cr_expect_not(same_key(first, third));
    cr_expect_eq(published(&world), 2);
    cr_expect(is_good(&world, second) && is_good(&world, third));
    cr_expect_not(tick(&world, LIFETIME_S));
    cr_expect(tick(&world, 1));
    cr_expect_eq(published(&world), 1);
    cr_expect_not(is_good(&world, second));
    CLEANUP(xfree) char *fourth = sign(&world);
    cr_expect(same_key(third, fourth));
    world_release(&world);
}

Test(signing_keys, one_that_has_signed_long_enough_is_followed_by_itself_again_and_again)
{
    struct world world;
    world_init(&world, MAX_AGE_S);
    for (int round = 0; round < 3; round++) {
        CLEANUP(xfree) char *before = sign(&world);
        cr_expect(tick(&world, MAX_AGE_S + 300));
        cr_expect_eq(published(&world), 2);
        cr_expect_not(tick(&world, PUBLISH_S - 5));
        cr_expect(tick(&world, 10));
        CLEANUP(xfree) char *after = sign(&world);
        cr_expect_not(same_key(before, after));
        cr_expect(tick(&world, LIFETIME_S + 5));
        cr_expect_eq(published(&world), 1);
    }
    world_release(&world);
}

Test(signing_keys, processes_that_share_the_files_agree_and_a_restart_changes_nothing)
{
    struct world world;
    world_init(&world, 0);
    struct world other = world;
    other.keys = open_keys(&world, 0);
    rotate(&world);
    cr_expect(tick(&world, 0) && tick(&other, 0));
    cr_expect(tick(&world, PUBLISH_S + 300));
    CLEANUP(xfree) char *token = sign(&world);
    other.now_s = world.now_s;
    cr_expect(is_good(&other, token), "though it has not looked yet");
    cr_expect(tick(&other, 0));
    CLEANUP(xfree) char *of_other = sign(&other);
    cr_expect(same_key(token, of_other));
    signing_keys_free(other.keys);
    other.keys = open_keys(&world, 0);
    CLEANUP(xfree) char *restarted = sign(&other);
    cr_expect(same_key(token, restarted));
    cr_expect_eq(published(&other), 2);
    signing_keys_free(other.keys);
    world_release(&world);
}

Test(signing_keys, a_death_in_the_middle_of_the_change_publishes_no_key_twice_and_is_made_up_for)
{
    struct world world;
    char previous[96];
    world_init(&world, 0);
    (void)snprintf(previous, sizeof previous, "%s.previous", world.path);
    rotate(&world);
    cr_assert_eq(link(world.path, previous), 0); /* it went no further */
    signing_keys_free(world.keys);
    world.keys = open_keys(&world, 0);
    cr_expect_eq(published(&world), 2);
    CLEANUP(xfree) char *before = sign(&world);
    cr_expect(is_good(&world, before));
    cr_expect(tick(&world, PUBLISH_S + 300));
    CLEANUP(xfree) char *after = sign(&world);
    cr_expect_not(same_key(before, after));
    cr_expect(is_good(&world, before) && is_good(&world, after));
    world_release(&world);
}

Test(signing_keys, a_file_that_is_no_key_changes_nothing)
{
    struct world world;
    char next[96];
    struct error e = { 0 };
    bool changed = false;
    world_init(&world, 0);
    (void)snprintf(next, sizeof next, "%s.next", world.path);
    FILE *file = fopen(next, "we");
    cr_assert(file && fputs("nonsense", file) >= 0 && fclose(file) == 0);
    CLEANUP(xfree) char *before = sign(&world);
    cr_expect_not(signing_keys_tick(world.keys, world.now_s, &changed, &e));
    cr_expect_not_null(strstr(e.message, "key.pem.next"));
    CLEANUP(xfree) char *after = sign(&world);
    cr_expect(same_key(before, after));
    cr_expect_eq(published(&world), 1);
    cr_expect_not(signing_keys_tick(world.keys, world.now_s + PUBLISH_S + 300, &changed, &e), "it never signs");
    CLEANUP(xfree) char *later = sign(&world);
    cr_expect(same_key(before, later));
    world_release(&world);
}
