/* The service as a process: what clients see. */
#include "../../chassis/jwt.h"

#include <criterion/criterion.h>
#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <support.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct support_database database;
static struct support_process process;
static uint16_t port;
static char dir[] = "/tmp/test_identity.XXXXXX";

static void start_process(const char *login_attempts)
{
    CLEANUP(xfree) char *port_line = xasprintf("IDENTITY_PORT=%u", port);
    CLEANUP(xfree) char *database_line = xasprintf("IDENTITY_POSTGRES_URL=%s", database.url);
    CLEANUP(xfree) char *key_line = xasprintf("IDENTITY_SIGNING_KEY_PATH=%s/key.pem", dir);
    CLEANUP(xfree) char *attempts_line = xasprintf("IDENTITY_LOGIN_ATTEMPTS_MAX=%s", login_attempts);
    const char *env[] = { port_line, database_line, key_line, attempts_line, "LOG_LEVEL=debug",
        "IDENTITY_SIGNING_KEY_PUBLISH_S=1", NULL };
    char path[SUPPORT_PATH_MAX];
    const char *argv[] = { support_build_path("services/identity/penstock-identity", path), NULL };
    support_process_start(&process, argv, env);
    support_process_wait_healthy(&process, port, 10000);
}

static void start_identity(const char *login_attempts)
{
    support_database_open("identity", &database);
    port = support_free_port();
    cr_assert_not_null(mkdtemp(dir));
    start_process(login_attempts);
}

static void stop_identity(void)
{
    CLEANUP(xfree) char *key = xasprintf("%s/key.pem", dir), *previous = xasprintf("%s.previous", key);
    cr_expect_eq(support_process_stop(&process, 10000), 0);
    (void)unlink(key);
    (void)unlink(previous);
    (void)rmdir(dir);
}

/* The answer's body, or NULL if it has none; the caller's. */
static json_t *ask(const char *method, const char *path, const char *headers, const char *body, int *ret_status)
{
    static _Thread_local char text[SUPPORT_BODY_MAX];
    CLEANUP(xfree) char *all_headers = xasprintf("%s%s", body ? "Content-Type: application/json\r\n" : "", headers);
    text[0] = '\0';
    *ret_status = support_http(port, method, path, all_headers, body, text);
    return json_loads(text, 0, NULL);
}

static json_t *post(const char *path, const char *body, int *ret_status)
{
    return ask("POST", path, "", body, ret_status);
}

static const char *text_of(const json_t *json, const char *field)
{
    const char *text = json_string_value(json_object_get(json, field));
    return text ? text : "";
}

static json_t *post_token(const char *path, const char *refresh_token, int *ret_status)
{
    CLEANUP(xfree) char *body = xasprintf("{\"refresh_token\":\"%s\"}", refresh_token);
    return post(path, body, ret_status);
}

static json_t *get_me(const char *access_token, int *ret_status)
{
    CLEANUP(xfree) char *header = xasprintf("Authorization: Bearer %s\r\n", access_token);
    return ask("GET", "/auth/me", header, NULL, ret_status);
}

static void expect_session(const json_t *session)
{
    cr_expect_gt(strtoll(text_of(session, "user_id"), NULL, 10), 0);
    cr_expect_gt(strlen(text_of(session, "access_token")), 100);
    cr_expect_eq(strlen(text_of(session, "refresh_token")), 43);
    cr_expect_str_eq(text_of(session, "token_type"), "Bearer");
    cr_expect_eq(json_integer_value(json_object_get(session, "expires_in")), 900);
    cr_expect_eq(json_object_size(session), 5);
}

static void expect_jwks_verifies(const char *access_token, const char *user_id)
{
    int status = 0;
    json_auto_t *jwks = ask("GET", "/.well-known/jwks.json", "", NULL, &status);
    cr_assert_eq(status, 200);
    CLEANUP(xfree) char *text = json_dumps(jwks, 0);
    CLEANUP(jwt_verifier_free) struct jwt_verifier *verifier = jwt_verifier_new("penstock", "penstock");
    struct error e = { 0 };
    struct jwt_claims claims = { 0 };
    bool unknown_kid = false;
    cr_assert(jwt_verifier_set_keys(verifier, text, &e), "%s", e.message);
    cr_assert(jwt_verify(verifier, access_token, time(NULL), &claims, &unknown_kid, &e), "%s", e.message);
    cr_expect_str_eq(claims.subject, user_id);
    cr_expect_str_eq(claims.scope, "trade");
}

Test(identity, a_client_signs_up_logs_in_refreshes_and_logs_out)
{
    start_identity("10");
    int status = 0;
    json_auto_t *first =
        post("/auth/signup", "{\"email\":\"Anna@Example.com\",\"password\":\"correct horse\"}", &status);
    cr_assert_eq(status, 201);
    expect_session(first);
    expect_jwks_verifies(text_of(first, "access_token"), text_of(first, "user_id"));

    json_auto_t *me = get_me(text_of(first, "access_token"), &status);
    cr_expect_eq(status, 200);
    cr_expect_str_eq(text_of(me, "user_id"), text_of(first, "user_id"));
    cr_expect_str_eq(text_of(me, "email"), "anna@example.com");
    cr_expect_str_eq(text_of(me, "scope"), "trade");

    json_auto_t *second =
        post("/auth/login", "{\"email\":\"anna@example.com\",\"password\":\"correct horse\"}", &status);
    cr_assert_eq(status, 200);
    expect_session(second);

    json_auto_t *third = post_token("/auth/refresh", text_of(second, "refresh_token"), &status);
    cr_assert_eq(status, 200);
    expect_session(third);
    json_auto_t *reused = post_token("/auth/refresh", text_of(second, "refresh_token"), &status);
    cr_expect_eq(status, 401);
    cr_expect_str_eq(text_of(reused, "type"), "urn:penstock:problem:wrong-credentials");
    json_auto_t *revoked = post_token("/auth/refresh", text_of(third, "refresh_token"), &status);
    cr_expect_eq(status, 401, "the revocation was committed although the answer was a refusal");
    cr_expect_str_eq(text_of(revoked, "field"), "refresh_token");

    json_decref(post_token("/auth/logout", text_of(first, "refresh_token"), &status));
    cr_expect_eq(status, 204);
    json_decref(post_token("/auth/refresh", text_of(first, "refresh_token"), &status));
    cr_expect_eq(status, 401);
    stop_identity();
}

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

Test(identity, each_bad_input_has_its_status_and_names_its_field)
{
    static const struct {
        const char *path, *body;
        int status;
        const char *field, *problem; /* problem "": any */
    } cases[] = {
        { "/auth/signup", "{\"password\":\"correct horse\"}", 400, "email", "missing-field" },
        { "/auth/signup", "{\"email\":\"a@b.c\"}", 400, "password", "missing-field" },
        { "/auth/signup", "{\"email\":7,\"password\":\"correct horse\"}", 400, "email", "wrong-type" },
        { "/auth/signup", "{\"email\":\"a@b.c\",\"password\":12345678}", 400, "password", "wrong-type" },
        { "/auth/signup", "{\"email\":\"a@b.c\",\"password\":\"correct horse\",\"admin\":true}", 400, "admin", "" },
        { "/auth/signup", "{\"email\":\"no address\",\"password\":\"correct horse\"}", 422, "email", "invalid-email" },
        { "/auth/signup", "{\"email\":\"\",\"password\":\"correct horse\"}", 422, "email", "invalid-email" },
        { "/auth/signup", "{\"email\":\"a@b.c\",\"password\":\"1234567\"}", 422, "password", "invalid-password" },
        { "/auth/signup", "{\"email\":\"a@b.c\",\"password\":\"" X64 X64 "x\"}", 422, "password", "invalid-password" },
        { "/auth/signup", "{\"email\":\"a@b.c\",\"password\":\"a\\u0000aaaaaaaa\"}", 400, "", "malformed-json" },
        { "/auth/signup", "{\"email\":\"a@b.c\",\"email\":\"d@e.f\",\"password\":\"correct horse\"}", 400, "",
            "malformed-json" },
        { "/auth/signup", "{\"email\":\"a@b.c\"", 400, "", "malformed-json" },
        { "/auth/signup", "[]", 400, "", "malformed-json" },
        { "/auth/login", "{\"email\":\"a@b.c\"}", 400, "password", "missing-field" },
        { "/auth/login", "{\"email\":\"a@b.c\",\"password\":\"correct horse\",\"otp\":\"1\"}", 400, "otp", "" },
        { "/auth/login", "{\"email\":\"a@b.c\",\"password\":\"correct horse\"}", 401, "", "wrong-credentials" },
        { "/auth/login", "{\"email\":\"no address\",\"password\":\"\"}", 401, "", "wrong-credentials" },
        { "/auth/refresh", "{}", 400, "refresh_token", "missing-field" },
        { "/auth/refresh", "{\"refresh_token\":null}", 400, "refresh_token", "missing-field" },
        { "/auth/refresh", "{\"refresh_token\":\"x\",\"user_id\":\"1\"}", 400, "user_id", "" },
        { "/auth/refresh", "{\"refresh_token\":\"x\"}", 401, "refresh_token", "wrong-credentials" },
        { "/auth/logout", "{\"refresh_token\":[]}", 400, "refresh_token", "wrong-type" },
    };
    start_identity("1000");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int status = 0;
        json_auto_t *answer = post(cases[i].path, cases[i].body, &status);
        cr_expect_eq(status, cases[i].status, "%s %s: %d", cases[i].path, cases[i].body, status);
        cr_expect_str_eq(text_of(answer, "field"), cases[i].field, "%s", cases[i].body);
        if (*cases[i].problem)
            cr_expect_not_null(
                strstr(text_of(answer, "type"), cases[i].problem), "%s: %s", cases[i].body, text_of(answer, "type"));
    }
    int status = 0;
    CLEANUP(xfree) char *huge = xmalloc(10001);
    memset(huge, ' ', 10000);
    huge[10000] = '\0';
    json_decref(post("/auth/signup", huge, &status));
    cr_expect_eq(status, 413);
    stop_identity();
}

Test(identity, me_wants_a_token_of_ours)
{
    start_identity("10");
    static const char *const tokens[] = { "", "x", "a.b.c", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0." };
    int status = 0;
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        json_decref(get_me(tokens[i], &status));
        cr_expect_eq(status, 401, "%s", tokens[i]);
    }
    json_decref(ask("GET", "/auth/me", "", NULL, &status));
    cr_expect_eq(status, 401);
    stop_identity();
}

/* The answer's Retry-After, 0 if it has none. */
static int retry_after_of(const char *path, const char *body)
{
    CLEANUP(xfree) char *url = xasprintf("http://127.0.0.1:%u%s", port, path);
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    struct curl_header *header = NULL;
    FILE *nowhere = fopen("/dev/null", "we");
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, nowhere);
    cr_assert_eq(curl_easy_perform(curl), CURLE_OK);
    bool found = curl_easy_header(curl, "Retry-After", 0, CURLH_HEADER, -1, &header) == CURLHE_OK;
    int seconds = found ? atoi(header->value) : 0;
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    (void)fclose(nowhere);
    return seconds;
}

Test(identity, too_many_failed_logins_are_told_to_wait)
{
    start_identity("3");
    const char *body = "{\"email\":\"anna@example.com\",\"password\":\"wrong horse\"}";
    int status = 0;
    for (int i = 0; i < 3; i++) {
        json_decref(post("/auth/login", body, &status));
        cr_expect_eq(status, 401);
    }
    json_auto_t *refused = post("/auth/login", body, &status);
    cr_expect_eq(status, 429);
    cr_expect_str_eq(text_of(refused, "type"), "urn:penstock:problem:rate-limited");
    int retry_after_s = retry_after_of("/auth/login", body);
    cr_expect(retry_after_s > 0 && retry_after_s <= 60, "Retry-After: %d", retry_after_s);
    stop_identity();
}

static void *sign_up_anna(void *context)
{
    int *status = context;
    json_decref(post("/auth/signup", "{\"email\":\"anna@example.com\",\"password\":\"correct horse\"}", status));
    return NULL;
}

Test(identity, of_signups_at_once_with_one_address_one_succeeds)
{
    enum { CLIENTS = 4 };
    start_identity("10");
    pthread_t threads[CLIENTS];
    int statuses[CLIENTS] = { 0 }, created = 0, taken = 0;
    for (size_t i = 0; i < CLIENTS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, sign_up_anna, &statuses[i]), 0);
    for (size_t i = 0; i < CLIENTS; i++) {
        (void)pthread_join(threads[i], NULL);
        created += statuses[i] == 201;
        taken += statuses[i] == 409;
    }
    cr_expect_eq(created, 1);
    cr_expect_eq(taken, CLIENTS - 1);
    stop_identity();
}

static char *read_log(void)
{
    FILE *file = fopen(process.log_path, "re");
    cr_assert_not_null(file);
    char *text = xcalloc(1, 1u << 20);
    (void)!fread(text, 1, (1u << 20) - 1, file);
    (void)fclose(file);
    return text;
}

Test(identity, no_secret_is_logged)
{
    start_identity("10");
    int status = 0;
    json_auto_t *session =
        post("/auth/signup", "{\"email\":\"anna@example.com\",\"password\":\"correct horse\"}", &status);
    cr_assert_eq(status, 201);
    json_decref(post("/auth/login", "{\"email\":\"anna@example.com\",\"password\":\"wrong horse\"}", &status));
    json_decref(post("/auth/login", "{\"email\":\"anna@example.com\",\"password\":\"broken horse", &status));
    json_decref(post_token("/auth/refresh", text_of(session, "refresh_token"), &status));
    json_decref(post_token("/auth/refresh", text_of(session, "refresh_token"), &status));
    json_decref(get_me(text_of(session, "access_token"), &status));
    CLEANUP(xfree) char *log = read_log();
    cr_expect_gt(strlen(log), 0, "the log is where it is looked for");
    cr_expect_null(strstr(log, "horse"));
    cr_expect_null(strstr(log, text_of(session, "refresh_token")));
    cr_expect_null(strstr(log, text_of(session, "access_token")));
    cr_expect_null(strstr(log, database.url));
    cr_expect_null(strstr(log, "PRIVATE KEY"));
    stop_identity();
}

Test(identity, the_signing_key_survives_a_restart_and_is_for_its_owner_only)
{
    start_identity("10");
    int status = 0;
    json_auto_t *session =
        post("/auth/signup", "{\"email\":\"anna@example.com\",\"password\":\"correct horse\"}", &status);
    CLEANUP(xfree) char *key = xasprintf("%s/key.pem", dir);
    struct stat file;
    cr_assert_eq(stat(key, &file), 0);
    cr_expect_eq(file.st_mode & 0777, 0600);
    cr_expect_eq(support_process_stop(&process, 10000), 0);
    start_process("10");
    expect_jwks_verifies(text_of(session, "access_token"), text_of(session, "user_id"));
    json_decref(get_me(text_of(session, "access_token"), &status));
    cr_expect_eq(status, 200);
    stop_identity();
}

static size_t keys_published(void)
{
    int status = 0;
    json_auto_t *jwks = ask("GET", "/.well-known/jwks.json", "", NULL, &status);
    return json_array_size(json_object_get(jwks, "keys"));
}

Test(identity, keys_follow_one_another_while_it_runs_and_tokens_of_both_are_good)
{
    static const char credentials[] = "{\"email\":\"anna@example.com\",\"password\":\"correct horse\"}";
    start_identity("10");
    int status = 0;
    json_auto_t *session = post("/auth/signup", credentials, &status);
    const char *first = text_of(session, "access_token");
    char path[SUPPORT_PATH_MAX];
    struct support_process rotation;
    CLEANUP(xfree) char *key_line = xasprintf("IDENTITY_SIGNING_KEY_PATH=%s/key.pem", dir);
    support_process_start(&rotation,
        (const char *const[]){ support_build_path("services/identity/penstock-identity", path), "rotate-key", NULL },
        (const char *const[]){ key_line, NULL });
    cr_assert_eq(support_process_wait(&rotation, 10000), 0);
    CLEANUP(xfree) char *signed_before = NULL, *signed_after = NULL;
    for (int tries = 0; tries < 300 && !signed_after; tries++) {
        json_auto_t *again = post("/auth/login", credentials, &status);
        CLEANUP(xfree) char *token = xstrdup(text_of(again, "access_token"));
        bool same = strncmp(token, first, strcspn(first, ".")) == 0;
        char **last = same ? &signed_before : &signed_after;
        xfree(*last);
        *last = TAKE(token);
        (void)usleep(200000);
    }
    cr_assert_not_null(signed_after, "the new key never signs");
    cr_expect_eq(keys_published(), 2);
    const char *const tokens[] = { first, signed_before, signed_after };
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        json_decref(get_me(tokens[i], &status));
        cr_expect_eq(status, 200, "token %zu", i);
        expect_jwks_verifies(tokens[i], text_of(session, "user_id"));
    }
    stop_identity();
}
