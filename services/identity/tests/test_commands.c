/* commands: each on a database of its own. */
#include "../commands.h"

#include "../events.h"

#include <criterion/criterion.h>
#include <identity_v1.pb-c.h>
#include <pthread.h>
#include <stdlib.h>
#include <support.h>
#include <unistd.h>

enum { NOW_S = 1700000000, ATTEMPTS = 5 };

static const struct settings settings = { .access_token_lifetime_s = 900, .refresh_token_lifetime_s = 3600 };

struct world {
    struct support_database database;
    struct identity identity;
    struct pg *pg;
    struct outbox *outbox;
};

static struct pg *connect_to(const struct world *world)
{
    struct pg *pg = NULL;
    struct error e = { 0 };
    struct pg_options options = { .dsn = world->database.url, .application_name = "test" };
    cr_assert(pg_open(&options, &pg, &e), "%s", e.message);
    return pg;
}

static struct signing_keys *new_keys(void)
{
    char dir[] = "/tmp/test_commands.XXXXXX", path[64];
    struct signing_keys *keys = NULL;
    struct error e = { 0 };
    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/key.pem", dir);
    cr_assert(signing_keys_open(path, &(struct signing_key_times){ 0 }, &keys, &e), "%s", e.message);
    (void)unlink(path);
    (void)rmdir(dir);
    return keys;
}

static void world_init(struct world *world)
{
    struct error e = { 0 };
    *world = (struct world){ 0 };
    support_database_open("identity", &world->database);
    cr_assert_geq(sodium_init(), 0);
    world->identity = (struct identity){
        .settings = &settings,
        .issuer = "penstock",
        .audience = "penstock",
        .limiter = login_limiter_new(ATTEMPTS, 10 * ATTEMPTS, 60),
        .keys = new_keys(),
    };
    cr_assert(password_hash("nobody has this one", world->identity.absent_hash, &e));
    world->pg = connect_to(world);
    world->outbox = outbox_new();
}

static void world_release(struct world *world)
{
    pg_free(world->pg);
    outbox_free(world->outbox);
    login_limiter_free(world->identity.limiter);
    signing_keys_free(world->identity.keys);
}

/* What the chassis does after a command. */
static bool finish(struct pg *pg, struct outbox *outbox, bool done, struct error *e)
{
    done = done && outbox_write(outbox, pg, e) && pg_commit(pg, e);
    if (!done) {
        pg_rollback(pg);
        outbox_clear(outbox);
    }
    return done;
}

static bool sign_up(struct world *world, const char *email, const char *password, struct session *ret, struct error *e)
{
    error_clear(e);
    struct credentials credentials = { email, password, "10.0.0.1", NOW_S };
    bool done =
        pg_begin(world->pg, e) && command_sign_up(&world->identity, world->pg, world->outbox, &credentials, "", ret, e);
    return finish(world->pg, world->outbox, done, e);
}

static struct session must_sign_up(struct world *world, const char *email)
{
    struct session session = { 0 };
    struct error e;
    cr_assert(sign_up(world, email, "correct horse", &session, &e), "%s", e.message);
    return session;
}

static bool log_in(struct world *world, const char *email, const char *password, struct session *ret, struct error *e)
{
    error_clear(e);
    uint32_t retry_after_s = 0;
    struct credentials credentials = { email, password, "10.0.0.1", NOW_S };
    bool done =
        pg_begin(world->pg, e) && command_log_in(&world->identity, world->pg, &credentials, ret, &retry_after_s, e);
    cr_expect_eq(retry_after_s != 0, strcmp(e->problem, "rate-limited") == 0);
    return finish(world->pg, world->outbox, done, e);
}

/* true: a new session. */
static bool refresh_on(struct world *world, struct pg *pg, const char *token, struct session *ret)
{
    struct error e = { 0 };
    bool refused = false;
    CLEANUP(outbox_free) struct outbox *outbox = outbox_new();
    bool done = pg_begin(pg, &e) && command_refresh(&world->identity, pg, token, NOW_S, ret, &refused, &e);
    cr_assert(finish(pg, outbox, done, &e), "%s", e.message);
    return !refused;
}

static bool refresh(struct world *world, const char *token, struct session *ret)
{
    return refresh_on(world, world->pg, token, ret);
}

/* The one number a query gives, as the superuser. */
static int64_t query(const struct world *world, const char *sql)
{
    PGconn *connection = PQconnectdb(world->database.admin_url);
    PGresult *result = PQexec(connection, sql);
    ExecStatusType status = PQresultStatus(result);
    cr_assert(status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK, "%s", PQerrorMessage(connection));
    int64_t value = status == PGRES_TUPLES_OK ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : 0;
    PQclear(result);
    PQfinish(connection);
    return value;
}

Test(sign_up, writes_the_user_and_its_event_or_neither)
{
    struct world world;
    world_init(&world);
    struct session session = must_sign_up(&world, "Anna@Example.com");
    cr_expect_gt(session.user_id, 0);
    cr_expect_eq(query(&world, "SELECT count(*) FROM users WHERE email = 'anna@example.com'"), 1);
    cr_expect_eq(query(&world, "SELECT count(*) FROM users WHERE password_hash LIKE '%correct%'"), 0);
    cr_expect_eq(query(&world, "SELECT count(*) FROM outbox"), 1);
    cr_expect_eq(query(&world, "SELECT count(*) FROM outbox WHERE topic = 'identity.users.v1'"
                               " AND type = 'penstock.identity.v1.UserSignedUp'"
                               " AND key = convert_to((SELECT id::text FROM users), 'UTF8')"),
        1);
    session_release(&session);

    (void)query(&world, "ALTER TABLE outbox ADD CHECK (false) NOT VALID");
    struct error e;
    cr_expect_not(sign_up(&world, "bert@example.com", "correct horse", &session, &e));
    cr_expect_eq(query(&world, "SELECT count(*) FROM users"), 1);
    session_release(&session);
    world_release(&world);
}

Test(sign_up, the_event_says_who_and_when_and_nothing_personal)
{
    struct user user = { .id = 7, .email = "anna@example.com", .created_at_us = 1700000000000001 };
    struct world world;
    world_init(&world);
    struct error e = { 0 };
    cr_assert(pg_begin(world.pg, &e));
    events_user_signed_up(world.outbox, &user, "");
    cr_assert(finish(world.pg, world.outbox, true, &e), "%s", e.message);
    static const struct pg_statement get = { "get", "SELECT payload FROM outbox" };
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    cr_assert(pg_query(world.pg, &get, &rows, &e), "%s", e.message);
    struct bytes payload = pg_get_bytes(rows, 0, 0);
    Penstock__Identity__V1__UserSignedUp *event =
        penstock__identity__v1__user_signed_up__unpack(NULL, payload.len, payload.data);
    cr_assert_not_null(event);
    cr_expect_eq(event->user_id, 7);
    cr_expect_eq(event->signed_up_at_us, 1700000000000001);
    cr_expect_null(memmem(payload.data, payload.len, "anna", 4));
    penstock__identity__v1__user_signed_up__free_unpacked(event, NULL);
    world_release(&world);
}

Test(sign_up, refusals_name_the_field_and_change_nothing)
{
    static const struct {
        const char *email, *password, *field;
        enum error_kind kind;
    } cases[] = {
        { "anna", "correct horse", "email", ERROR_REFUSED },
        { "", "correct horse", "email", ERROR_REFUSED },
        { "anna@example.com", "short", "password", ERROR_REFUSED },
        { "taken@example.com", "correct horse", "email", ERROR_CONFLICT },
        { "TAKEN@example.com", "correct horse", "email", ERROR_CONFLICT },
    };
    struct world world;
    world_init(&world);
    struct session session = must_sign_up(&world, "taken@example.com");
    session_release(&session);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error e;
        cr_expect_not(sign_up(&world, cases[i].email, cases[i].password, &session, &e), "%s", cases[i].email);
        cr_expect_eq(e.kind, cases[i].kind, "%s: %s", cases[i].email, e.message);
        cr_expect_str_eq(e.field, cases[i].field);
    }
    cr_expect_eq(query(&world, "SELECT count(*) FROM users"), 1);
    cr_expect_eq(query(&world, "SELECT count(*) FROM outbox"), 1);
    cr_expect_eq(query(&world, "SELECT count(*) FROM refresh_tokens"), 1);
    world_release(&world);
}

Test(log_in, a_wrong_password_and_an_unknown_address_look_the_same)
{
    struct world world;
    world_init(&world);
    struct session first = must_sign_up(&world, "anna@example.com"), session = { 0 };
    struct error e, wrong, unknown, malformed;
    cr_expect(log_in(&world, "ANNA@example.com", "correct horse", &session, &e), "%s", e.message);
    cr_expect_eq(session.user_id, first.user_id);
    session_release(&session);
    session_release(&first);
    cr_expect_not(log_in(&world, "anna@example.com", "wrong horse", &session, &wrong));
    cr_expect_not(log_in(&world, "bert@example.com", "correct horse", &session, &unknown));
    cr_expect_not(log_in(&world, "no address", "correct horse", &session, &malformed));
    cr_expect_eq(wrong.kind, ERROR_UNAUTHENTICATED);
    cr_expect_str_eq(wrong.problem, "wrong-credentials");
    const struct error *others[] = { &unknown, &malformed };
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        cr_expect_eq(others[i]->kind, wrong.kind);
        cr_expect_str_eq(others[i]->problem, wrong.problem);
        cr_expect_str_eq(others[i]->field, wrong.field);
        cr_expect_str_eq(others[i]->message, wrong.message);
    }
    world_release(&world);
}

/* Without the hash nobody has, the second would be a hundred times faster; half is far from both, and the machine may
 * be busy. */
Test(log_in, an_unknown_address_takes_as_long_as_a_known_one)
{
    static const char *const emails[] = { "anna@example.com", "bert@example.com" };
    struct world world;
    world_init(&world);
    struct session session = must_sign_up(&world, "anna@example.com");
    session_release(&session);
    int64_t best_us[] = { INT64_MAX, INT64_MAX };
    for (int round = 0; round < ATTEMPTS; round++) {
        for (size_t i = 0; i < ARRAY_LEN(emails); i++) {
            struct error e;
            int64_t start_us = monotonic_us();
            cr_expect_not(log_in(&world, emails[i], "wrong horse", &session, &e));
            int64_t took_us = monotonic_us() - start_us;
            best_us[i] = took_us < best_us[i] ? took_us : best_us[i];
        }
    }
    cr_expect_gt(best_us[1], best_us[0] / 2);
    world_release(&world);
}

Test(log_in, guessing_is_slowed_down_even_for_the_right_password)
{
    struct world world;
    world_init(&world);
    struct session session = must_sign_up(&world, "anna@example.com");
    session_release(&session);
    struct error e;
    for (int i = 0; i < ATTEMPTS; i++) {
        cr_expect_not(log_in(&world, "anna@example.com", "wrong horse", &session, &e));
        cr_expect_str_eq(e.problem, "wrong-credentials");
    }
    cr_expect_not(log_in(&world, "anna@example.com", "correct horse", &session, &e));
    cr_expect_str_eq(e.problem, "rate-limited");
    cr_expect_not(log_in(&world, "ANNA@example.com", "correct horse", &session, &e), "the same address in capitals");
    cr_expect_str_eq(e.problem, "rate-limited");
    world_release(&world);
}

Test(refresh, a_token_is_good_once_and_its_second_use_ends_the_family)
{
    struct world world;
    world_init(&world);
    struct session first = must_sign_up(&world, "anna@example.com");
    struct session second = { 0 }, third = { 0 }, none = { 0 }, other = { 0 }, again = { 0 };
    struct error e;
    cr_assert(log_in(&world, "anna@example.com", "correct horse", &other, &e), "%s", e.message);
    cr_expect(refresh(&world, first.refresh_token, &second));
    cr_expect_eq(second.user_id, first.user_id);
    cr_expect_str_neq(second.refresh_token, first.refresh_token);
    cr_expect(refresh(&world, second.refresh_token, &third));
    cr_expect_not(refresh(&world, first.refresh_token, &none), "used before");
    cr_expect_not(refresh(&world, third.refresh_token, &none), "the family is revoked");
    cr_expect(refresh(&world, other.refresh_token, &again), "another session lives on");
    struct session *all[] = { &first, &second, &third, &other, &again };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        session_release(all[i]);
    world_release(&world);
}

Test(refresh, unknown_and_expired_tokens_are_refused)
{
    struct world world;
    world_init(&world);
    struct session session = must_sign_up(&world, "anna@example.com"), none = { 0 };
    struct error e;
    cr_expect_not(refresh(&world, "", &none));
    cr_expect_not(refresh(&world, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &none));
    cr_expect_not(refresh(&world, session.access_token, &none));
    (void)query(&world, "UPDATE refresh_tokens SET expires_at = now()");
    cr_expect_not(refresh(&world, session.refresh_token, &none));
    session_release(&session);
    cr_assert(log_in(&world, "anna@example.com", "correct horse", &session, &e));
    cr_expect_eq(query(&world, "SELECT count(*) FROM refresh_tokens"), 1, "the expired one is cleared away");
    session_release(&session);
    world_release(&world);
}

Test(log_out, ends_the_session_and_may_be_repeated)
{
    struct world world;
    world_init(&world);
    struct session session = must_sign_up(&world, "anna@example.com"), none = { 0 };
    for (int i = 0; i < 2; i++) {
        struct error e = { 0 };
        bool done = pg_begin(world.pg, &e) && command_log_out(world.pg, session.refresh_token, &e);
        cr_expect(finish(world.pg, world.outbox, done, &e), "%s", e.message);
    }
    cr_expect_not(refresh(&world, session.refresh_token, &none));
    session_release(&session);
    world_release(&world);
}

struct racer {
    struct world *world;
    const char *token;
    int wins;
};

static void *race(void *context)
{
    struct racer *racer = context;
    struct pg *pg = connect_to(racer->world);
    struct session session = { 0 };
    racer->wins = refresh_on(racer->world, pg, racer->token, &session);
    session_release(&session);
    pg_free(pg);
    return NULL;
}

/* Whoever comes second sees a spent token and ends the family, with the token the first has just been given. */
Test(refresh, of_uses_at_once_one_wins_and_none_keeps_a_live_token)
{
    enum { RACERS = 6 };
    struct world world;
    world_init(&world);
    struct session session = must_sign_up(&world, "anna@example.com");
    pthread_t threads[RACERS];
    struct racer racers[RACERS];
    int wins = 0;
    for (size_t i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){ &world, session.refresh_token, 0 };
        cr_assert_eq(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < RACERS; i++) {
        (void)pthread_join(threads[i], NULL);
        wins += racers[i].wins;
    }
    cr_expect_eq(wins, 1);
    cr_expect_eq(query(&world, "SELECT count(*) FROM refresh_tokens"), 0);
    session_release(&session);
    world_release(&world);
}
