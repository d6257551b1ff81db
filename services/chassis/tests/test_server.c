/* The server from outside: a small service as a process, real Postgres behind it. */
#include "drive.h"

#include <criterion/criterion.h>
#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void pause_ms(unsigned ms)
{
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 }, NULL);
}

static char *repeat(const char *text, size_t times)
{
    const size_t len = strlen(text);
    char *all = xmalloc(len * times + 1);
    for (size_t i = 0; i < times; i++)
        memcpy(all + i * len, text, len + 1);
    return all;
}

/* ---- The protocol ---- */

#define ECHO       "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}"
#define GET        "GET /params/1/x/2 HTTP/1.1\r\nHost: x\r\n\r\n"
#define JSON(text) "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: " text
#define KEYED      "POST /keyed HTTP/1.1\r\nHost: x\r\n"

Test(server, answers_each_request_in_order_and_keeps_or_ends_the_connection)
{
    static const struct {
        const char *what, *bytes;
        size_t answers;
        const char *expected;
    } cases[] = {
        { "three pipelined posts", ECHO ECHO ECHO, 3, "200 200 200" },
        { "posts and gets pipelined", ECHO GET ECHO GET, 4, "200 200 200 200" },
        { "a slow request, then two that wait", "POST /sleep?ms=100 HTTP/1.1\r\nContent-Length: 0\r\n\r\n" GET ECHO, 3,
            "200 200 200" },
        { "no body, no length", "POST /sleep?ms=1 HTTP/1.1\r\nHost: x\r\n\r\n" GET, 2, "200 200" },
        { "close is honoured", "GET /params/1/x/2 HTTP/1.1\r\nConnection: close\r\n\r\n" GET, 2, "200 closed" },
        { "HTTP/1.0 closes", "GET /params/1/x/2 HTTP/1.0\r\n\r\n", 1, "200 closed" },
        { "nothing there", "GET /nothing HTTP/1.1\r\n\r\n" GET, 2, "404 200" },
        { "wrong method", "PUT /echo HTTP/1.1\r\n\r\n" GET, 2, "405 200" },
        { "unknown method", "BREW /echo HTTP/1.1\r\n\r\n" GET, 2, "405 200" },
        { "options", "OPTIONS /echo HTTP/1.1\r\n\r\n" GET, 2, "204 200" },
        { "no upgrade", "GET /params/1/x/2 HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" GET, 2,
            "200 200" },
        { "chunked", "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" GET, 2,
            "411 closed" },
        { "two lengths", JSON("5\r\nContent-Length: 6\r\n\r\nhello!") GET, 2, "400 closed" },
        { "a negative length", JSON("-1\r\n\r\n") GET, 2, "400 closed" },
        { "garbage", "\x16\x03\x01 not http\r\n\r\n" GET, 2, "400 closed" },
        { "no JSON", JSON("9\r\n\r\nnot JSON!") GET, 2, "400 200" },
        { "half a JSON", JSON("6\r\n\r\n{\"a\":1") GET, 2, "400 200" },
        { "not an object", JSON("2\r\n\r\n[]") GET, 2, "400 200" },
        { "an empty body", JSON("0\r\n\r\n") GET, 2, "400 200" },
        { "the same name twice", JSON("13\r\n\r\n{\"a\":1,\"a\":2}") GET, 2, "400 200" },
        { "more than JSON", JSON("5\r\n\r\n{} {}") GET, 2, "400 200" },
        { "not UTF-8", JSON("9\r\n\r\n{\"a\":\"\xff\"}") GET, 2, "400 200" },
        { "another media type", "POST /echo HTTP/1.1\r\nContent-Type: text/xml\r\nContent-Length: 4\r\n\r\n<a/>" GET, 2,
            "415 200" },
        { "a key is needed", KEYED "Content-Length: 2\r\n\r\n{}" GET, 2, "400 200" },
        { "a key is there", KEYED "Idempotency-Key: k\r\nContent-Length: 2\r\n\r\n{}" GET, 2, "200 200" },
        { "the route's own body limit", KEYED "Idempotency-Key: k\r\nContent-Length: 257\r\n\r\n", 1, "413" },
        { "a huge body", JSON("99999999\r\n\r\n{") "....", 1, "413 closed" },
        { "a bad query number", "GET /params/1/x/2?limit=0 HTTP/1.1\r\n\r\n" GET, 2, "400 200" },
        { "a bad escape", "GET /params/%zz/x/2 HTTP/1.1\r\n\r\n" GET, 2, "400 200" },
        { "no token", "GET /private HTTP/1.1\r\n\r\n" GET, 2, "401 200" },
        { "an odd scheme", "GET /private HTTP/1.1\r\nAuthorization: Basic YTpi\r\n\r\n" GET, 2, "401 200" },
        { "no token at all", "GET /private HTTP/1.1\r\nAuthorization: Bearer a.b.c\r\n\r\n" GET, 2, "401 200" },
    };
    struct sample sample;
    CLEANUP(xfree) char *text = xmalloc(DRIVE_TEXT_MAX);
    sample_start(&sample, NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char summary[256];
        const int fd = drive_connect(sample.port);
        drive_send(fd, cases[i].bytes, strlen(cases[i].bytes));
        const size_t len = drive_read(fd, cases[i].answers, 3000, text);
        drive_summary(fd, text, len, summary, sizeof summary);
        cr_expect_str_eq(summary, cases[i].expected, "%s: %s, not %s", cases[i].what, summary, cases[i].expected);
        close(fd);
    }
    cr_expect_eq(support_process_stop(&sample.process, 10000), 0);
}

Test(server, a_body_over_the_limit_is_413_and_the_connection_lives_on)
{
    struct sample sample;
    CLEANUP(xfree) char *text = xmalloc(DRIVE_TEXT_MAX);
    char summary[64];
    sample_start(&sample, NULL);
    CLEANUP(xfree) char *body = repeat("x", 70000);
    CLEANUP(xfree) char *request = xasprintf("POST /echo HTTP/1.1\r\nContent-Length: 70000\r\n\r\n%s" GET, body);
    const int fd = drive_connect(sample.port);
    drive_send(fd, request, strlen(request));
    const size_t len = drive_read(fd, 2, 3000, text);
    drive_summary(fd, text, len, summary, sizeof summary);
    cr_expect_str_eq(summary, "413 200");
    cr_expect_not_null(strstr(text, "urn:penstock:problem:body-too-large"));
    close(fd);
}

Test(server, an_answer_has_type_length_and_trace)
{
    static const char request[] = "GET /params/a%20b/x/%E2%82%AC?word=x%26y+z&limit=7 HTTP/1.1\r\n"
                                  "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n";
    struct sample sample;
    CLEANUP(xfree) char *text = xmalloc(DRIVE_TEXT_MAX);
    sample_start(&sample, NULL);
    const int fd = drive_connect(sample.port);
    drive_send(fd, request, strlen(request));
    drive_read(fd, 1, 3000, text);
    static const char *const expected[] = {
        "HTTP/1.1 200 OK\r\n",
        "\r\nContent-Type: application/json\r\n",
        "\r\nX-Request-Id: 0af7651916cd43dd8448eb211c80319c\r\n",
        "\r\ntraceresponse: 00-0af7651916cd43dd8448eb211c80319c-",
        "\r\nDate: ",
        "\"a\":\"a b\"",
        "\"b\":\"\u20ac\"",
        "\"word\":\"x&y z\"",
        "\"limit\":7",
    };
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        cr_expect_not_null(strstr(text, expected[i]), "no %s in\n%s", expected[i], text);
    drive_send(fd, "PUT /items/x HTTP/1.1\r\n\r\n", 25);
    drive_read(fd, 1, 3000, text);
    cr_expect_not_null(strstr(text, "\r\nAllow: GET, HEAD, OPTIONS\r\n"));
    cr_expect_not_null(strstr(text, "\r\nContent-Type: application/problem+json\r\n"));
    cr_expect_not_null(strstr(text, "\"trace_id\":"));
    close(fd);
}

Test(server, a_big_answer_reaches_a_slow_reader_whole)
{
    enum { BYTES = 20000000 };
    static const char request[] = "GET /big?bytes=20000000 HTTP/1.1\r\nConnection: close\r\n\r\n";
    struct sample sample;
    CLEANUP(xfree) char *text = xmalloc(DRIVE_TEXT_MAX);
    sample_start(&sample, NULL);
    const int fd = drive_connect(sample.port);
    drive_send(fd, request, strlen(request));
    pause_ms(300); /* the socket's buffers are full by now */
    cr_expect_eq(support_http(sample.port, "GET", "/health", "", NULL, NULL), 200);
    size_t total = 0;
    for (ssize_t n = 0; (n = read(fd, text, DRIVE_TEXT_MAX)) > 0;)
        total += (size_t)n;
    cr_expect(total > BYTES && total < BYTES + 1024, "%zu bytes", total);
    close(fd);
}

/* ---- Slow and vanishing clients ---- */

Test(server, half_a_request_holds_up_nobody_and_is_cut_off)
{
    struct sample sample;
    CLEANUP(xfree) char *text = xmalloc(DRIVE_TEXT_MAX);
    char summary[64];
    sample_start(&sample, NULL);
    const int head = drive_connect(sample.port);
    const int body = drive_connect(sample.port);
    drive_send(head, "GET /params/1", 13);
    drive_send(body, "POST /echo HTTP/1.1\r\nContent-Length: 100\r\n\r\n{", 45);
    const int64_t began_us = monotonic_us();
    for (int i = 0; i < 10; i++) {
        drive_send(body, " ", 1);
        drive_send(head, "x", 1);
        cr_assert_eq(support_http(sample.port, "GET", "/health", "", NULL, NULL), 200);
        pause_ms(600);
    }
    size_t len = drive_read(body, 1, 20000, text);
    drive_summary(body, text, len, summary, sizeof summary);
    cr_expect_str_eq(summary, "408 closed");
    len = drive_read(head, 1, 5000, text);
    drive_summary(head, text, len, summary, sizeof summary);
    cr_expect_str_eq(summary, "closed");
    const int64_t took_s = (monotonic_us() - began_us) / 1000000;
    cr_expect(took_s >= 14 && took_s <= 60, "cut off after %d s", (int)took_s);
    close(head);
    close(body);
}

Test(server, a_client_that_hangs_up_takes_nothing_with_it)
{
    static const char request[] = "POST /sleep?ms=300 HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
    static char body[SUPPORT_BODY_MAX];
    struct sample sample;
    sample_start(&sample, NULL);
    for (int i = 0; i < 8; i++) {
        const int fd = drive_connect(sample.port);
        const struct linger reset = { .l_onoff = 1 };
        drive_send(fd, request, strlen(request));
        cr_assert_eq(support_http(sample.port, "GET", "/health", "", NULL, NULL), 200); /* it has been read by now */
        if (i % 2)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
    }
    static const char counted[] = "requests_total{route=\"/sleep\",method=\"POST\",status=\"200\"} 8\n";
    for (int i = 0; i < 300 && !(strstr(body, counted) && strstr(body, "\nconnections 1\n")); i++) {
        pause_ms(100); /* 8 sleeps on 4 workers */
        cr_assert_eq(support_http(sample.port, "GET", "/metrics", "", NULL, body), 200);
    }
    cr_expect_not_null(strstr(body, counted), "%s", body);
    cr_expect_not_null(strstr(body, "\nconnections 1\n"));
    cr_expect_eq(support_process_stop(&sample.process, 10000), 0);
}

/* ---- Batches ---- */

enum { CLIENTS = 32, POSTS = 25 };

struct client {
    uint16_t port;
    int index;
    int created, refused, invalid, others;
    pthread_t thread;
};

/* Of each five requests one is refused and one is invalid. */
static void *client_run(void *context)
{
    struct client *client = context;
    CURL *curl = curl_easy_init();
    char url[64];
    FILE *nowhere = fopen("/dev/null", "we");
    snprintf(url, sizeof url, "http://127.0.0.1:%u/items", client->port);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, nowhere);
    for (int i = 0; i < POSTS; i++) {
        char body[64];
        long status = 0;
        snprintf(body, sizeof body,
            i % 5 == 1   ? "{\"name\":\"refused\"}"
            : i % 5 == 3 ? "{\"name\":%d}"
                         : "{\"name\":\"c%d\"}",
            client->index);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        client->created += status == 201;
        client->refused += status == 422;
        client->invalid += status == 400;
        client->others += status != 201 && status != 422 && status != 400;
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    fclose(nowhere);
    return NULL;
}

Test(server, clients_at_the_same_time_share_transactions_and_a_bad_input_fails_alone)
{
    static struct client clients[CLIENTS];
    struct sample sample;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    sample_start(&sample, NULL);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){ .port = sample.port, .index = i };
        pthread_create(&clients[i].thread, NULL, client_run, &clients[i]);
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        cr_expect_eq(clients[i].created, POSTS / 5 * 3);
        cr_expect_eq(clients[i].refused, POSTS / 5);
        cr_expect_eq(clients[i].invalid, POSTS / 5);
        cr_expect_eq(clients[i].others, 0);
    }
    const int64_t rows = sample_number(&sample, "SELECT count(*) FROM sample_items");
    const int64_t transactions = sample_number(&sample, "SELECT count(DISTINCT xid::text) FROM sample_items");
    cr_expect_eq(rows, CLIENTS * POSTS / 5 * 3);
    cr_expect_lt(transactions, rows / 2);
}

Test(server, a_batch_handler_that_refuses_all_is_a_fault_not_a_refusal)
{
    struct sample sample;
    sample_start(&sample, NULL);
    const int fd = drive_connect(sample.port);
    cr_expect_eq(drive_post(fd, "/broken", "{}"), 500);
    sample_log_has(&sample, "a batch handler failed with refused", 1000);
    close(fd);
}

Test(server, a_batch_that_loses_the_race_for_a_unique_key_is_tried_again)
{
    struct sample sample;
    sample_start(&sample, NULL);
    sample_sql(&sample, "CREATE UNIQUE INDEX ON sample_items (name)");
    sample_sql(&sample, "INSERT INTO sample_items (name, xid) VALUES ('taken', pg_current_xact_id())");
    const int fd = drive_connect(sample.port);
    cr_expect_eq(drive_post(fd, "/overtaken", "{}"), 201);
    cr_expect_eq(sample_number(&sample, "SELECT count(*) FROM sample_items"), 1);
    close(fd);
}

Test(server, a_write_behind_a_read_only_route_is_refused_by_the_database)
{
    struct sample sample;
    sample_start(&sample, NULL);
    cr_expect_eq(support_http(sample.port, "GET", "/writing", "", NULL, NULL), 500);
    cr_expect_eq(sample_number(&sample, "SELECT count(*) FROM sample_items"), 0);
    cr_expect_eq(support_http(sample.port, "GET", "/items/never", "", NULL, NULL), 200);
}

Test(server, a_full_queue_is_503_with_retry_after)
{
    enum { CALLS = 12 };
    static const char request[] = "POST /slow-lane HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
    static const char *const settings[] = { "SAMPLE_QUEUE_MAX=3", NULL };
    struct sample sample;
    CLEANUP(xfree) char *text = xmalloc(DRIVE_TEXT_MAX);
    int fds[CALLS], busy = 0, done = 0;
    sample_start(&sample, settings);
    for (int i = 0; i < CALLS; i++) {
        fds[i] = drive_connect(sample.port);
        drive_send(fds[i], request, strlen(request));
        if (i == 0)
            pause_ms(500); /* the lane is at work: the rest waits */
    }
    for (int i = 0; i < CALLS; i++) {
        drive_read(fds[i], 1, 5000, text);
        done += strncmp(text, "HTTP/1.1 200", 12) == 0;
        busy += strncmp(text, "HTTP/1.1 503", 12) == 0 && strstr(text, "\r\nRetry-After: 1\r\n");
        close(fds[i]);
    }
    cr_expect_eq(done, 4);
    cr_expect_eq(busy, CALLS - 4);
}

/* ---- The database goes and comes back ---- */

/* A database's own connection cannot shut it. */
static void set_door(const struct sample *sample, bool open)
{
    CLEANUP(xfree)
    char *sql = xasprintf("ALTER DATABASE \"%s\" ALLOW_CONNECTIONS %s", sample->database.name, open ? "true" : "false");
    PGconn *server = PQconnectdb(support_postgres_url());
    PGresult *result = PQexec(server, sql);
    cr_assert_eq(PQresultStatus(result), PGRES_COMMAND_OK, "%s", PQerrorMessage(server));
    PQclear(result);
    PQfinish(server);
}

Test(server, without_a_database_it_says_so_and_afterwards_works_again)
{
    struct sample sample;
    sample_start(&sample, NULL);
    const int fd = drive_connect(sample.port);
    cr_assert_eq(drive_post(fd, "/items", "{\"name\":\"before\"}"), 201);
    static const char kill_all[] = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
                                   "'penstock-sample' AND datname = "
                                   "current_database()";

    sample_sql(&sample, kill_all); /* killed only: the next request reconnects … */
    cr_expect_eq(drive_post(fd, "/items", "{\"name\":\"killed\"}"), 201);

    /* … and one in the middle of its transaction is tried again. */
    static const char sleeping[] = "POST /sleep?ms=500 HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
    CLEANUP(xfree) char *text = xmalloc(DRIVE_TEXT_MAX);
    drive_send(fd, sleeping, strlen(sleeping));
    pause_ms(200);
    sample_sql(&sample, kill_all);
    drive_read(fd, 1, 5000, text);
    cr_expect_eq(strncmp(text, "HTTP/1.1 200", 12), 0, "%s", text);

    set_door(&sample, false);
    sample_sql(&sample, kill_all);
    const int status = drive_post(fd, "/items", "{\"name\":\"down\"}");
    cr_expect(status == 503 || status == 500, "%d", status);
    cr_expect_neq(support_http(sample.port, "GET", "/health/db", "", NULL, NULL), 200);
    cr_expect_eq(support_http(sample.port, "GET", "/health", "", NULL, NULL), 200);

    set_door(&sample, true);
    cr_expect_eq(drive_post(fd, "/items", "{\"name\":\"after\"}"), 201);
    cr_expect_eq(support_http(sample.port, "GET", "/health/db", "", NULL, NULL), 200);
    cr_expect_eq(sample_number(&sample, "SELECT count(*) FROM sample_items"), 3);
    close(fd);
}

/* ---- Tokens ---- */

Test(server, a_token_is_checked_and_a_new_key_is_fetched)
{
    struct identity *identity = identity_start();
    CLEANUP(xfree) char *setting = xasprintf("IDENTITY_URL=%s", identity_url(identity));
    const char *const settings[] = { setting, NULL };
    static char body[SUPPORT_BODY_MAX];
    struct sample sample;
    sample_start(&sample, settings);
    CLEANUP(xfree) char *user = identity_token(identity, "42");
    CLEANUP(xfree) char *service = identity_token(identity, "service:other");
    CLEANUP(xfree) char *as_user = xasprintf("Authorization: Bearer %s\r\n", user);
    CLEANUP(xfree) char *as_service = xasprintf("authorization: bearer %s\r\n", service);
    cr_expect_eq(support_http(sample.port, "GET", "/private", as_user, NULL, body), 200);
    cr_expect_str_eq(body, "{\"user_id\":42}");
    cr_expect_eq(support_http(sample.port, "GET", "/private", as_service, NULL, NULL), 403);

    identity_rotate(identity);
    CLEANUP(xfree) char *renewed = identity_token(identity, "43");
    CLEANUP(xfree) char *as_renewed = xasprintf("Authorization: Bearer %s\r\n", renewed);
    int status = support_http(sample.port, "GET", "/private", as_renewed, NULL, NULL);
    cr_expect_eq(status, 401);
    for (int i = 0; i < 600 && status != 200; i++) {
        pause_ms(100);
        status = support_http(sample.port, "GET", "/private", as_renewed, NULL, NULL);
    }
    cr_expect_eq(status, 200);
}

Test(server, before_the_keys_are_known_a_token_is_503_and_health_says_why)
{
    static const char *const settings[] = { "IDENTITY_URL=http://127.0.0.1:1", NULL };
    static char body[SUPPORT_BODY_MAX];
    struct sample sample;
    CLEANUP(xfree) char *token = identity_token(identity_start(), "42");
    CLEANUP(xfree) char *header = xasprintf("Authorization: Bearer %s\r\n", token);
    sample_launch(&sample, settings);
    sample_log_has(&sample, "listening", 10000);
    cr_expect_eq(support_http(sample.port, "GET", "/private", header, NULL, NULL), 503);
    cr_expect_eq(support_http(sample.port, "GET", "/health", "", NULL, body), 503);
    cr_expect_not_null(strstr(body, "keys"));
}

/* ---- Starting and stopping ---- */

Test(server, a_bad_setting_stops_the_start_and_is_named)
{
    static const struct {
        const char *setting, *name;
    } cases[] = {
        { "SAMPLE_LIMIT=1000", "SAMPLE_LIMIT" },
        { "SAMPLE_PORT=http", "SAMPLE_PORT" },
        { "SAMPLE_POSTGRES_URL_FILE=/nowhere", "SAMPLE_POSTGRES_URL" },
        { "LOG_LEVEL=loud", "LOG_LEVEL" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const settings[] = { cases[i].setting, NULL };
        struct sample sample;
        sample_launch(&sample, settings);
        sample_log_has(&sample, cases[i].name, 5000);
        cr_expect_eq(support_process_wait(&sample.process, 5000), 2, "%s", cases[i].setting);
    }
}

Test(server, a_port_in_use_is_said)
{
    struct sample first, second;
    sample_start(&first, NULL);
    CLEANUP(xfree) char *setting = xasprintf("SAMPLE_PORT=%u", first.port);
    const char *const settings[] = { setting, NULL };
    sample_launch(&second, settings);
    sample_log_has(&second, "address already in use", 5000);
    cr_expect_eq(support_process_wait(&second.process, 5000), 1);
}

Test(server, sigterm_finishes_what_is_in_flight)
{
    static const char request[] = "POST /sleep?ms=2500 HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
    struct sample sample;
    CLEANUP(xfree) char *text = xmalloc(DRIVE_TEXT_MAX);
    sample_start(&sample, NULL);
    const int busy = drive_connect(sample.port);
    const int idle = drive_connect(sample.port);
    drive_send(busy, request, strlen(request));
    pause_ms(150);
    kill(sample.process.pid, SIGTERM);
    int late = drive_connect(sample.port);
    for (int i = 0; i < 200 && late >= 0; i++) { /* until the signal has come through */
        close(late);
        pause_ms(10);
        late = drive_connect(sample.port);
    }
    cr_expect_eq(late, -1);
    drive_send(idle, GET, strlen(GET));
    drive_read(idle, 1, 2000, text);
    cr_expect_eq(strncmp(text, "HTTP/1.1 503", 12), 0, "%s", text);
    drive_read(busy, 1, 10000, text);
    cr_expect_eq(strncmp(text, "HTTP/1.1 200", 12), 0, "%s", text);
    cr_expect_eq(support_process_wait(&sample.process, 5000), 0);
    close(busy);
    close(idle);
}

Test(server, a_request_that_does_not_end_does_not_hold_up_the_end)
{
    static const char *const settings[] = { "SHUTDOWN_TIMEOUT_MS=200", NULL };
    static const char request[] = "POST /sleep?ms=9000 HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
    struct sample sample;
    sample_start(&sample, settings);
    const int fd = drive_connect(sample.port);
    drive_send(fd, request, strlen(request));
    pause_ms(150);
    const int64_t began_us = monotonic_us();
    cr_expect_eq(support_process_stop(&sample.process, 8000), 1);
    cr_expect_lt(monotonic_us() - began_us, 8000000);
    close(fd);
}

Test(server, help_prints_every_setting)
{
    char path[SUPPORT_PATH_MAX], command[SUPPORT_PATH_MAX + 16];
    static char text[16384];
    snprintf(command, sizeof command, "%s --help", support_build_path("services/chassis/tests/sample-service", path));
    FILE *pipe = popen(command, "re");
    text[fread(text, 1, sizeof text - 1, pipe)] = '\0';
    cr_expect_eq(pclose(pipe), 0);
    static const char *const expected[] = { "SAMPLE_LIMIT", "SAMPLE_PORT", "8099", "SAMPLE_POSTGRES_URL",
        "KAFKA_BROKERS", "TOPIC_PREFIX", "IDENTITY_URL", "LOG_LEVEL", "SHUTDOWN_TIMEOUT_MS" };
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        cr_expect_not_null(strstr(text, expected[i]), "%s", expected[i]);
}
