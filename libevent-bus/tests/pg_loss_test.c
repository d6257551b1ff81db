/* Lost connections: in each place where one can be lost. */
#include "pg_testing.h"
#include "proxy.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <support.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENT_MS = 30000 }; /* a busy server's answer is waited for */

static struct pg *pg, *other;
static struct support_database database;

STATEMENT(make_marks, "CREATE TABLE marks (n int8)");
STATEMENT(insert_mark, "INSERT INTO marks VALUES ($1)");
STATEMENT(count_marks, "SELECT count(*) FROM marks");

static void open_both(void)
{
    support_database_open("identity", &database);
    pg = pg_testing_open(database.admin_url);
    other = pg_testing_open(database.admin_url);
    pg_testing_run(other, &make_marks);
}

static void close_both(void)
{
    pg_free(pg);
    pg_free(other);
}

TestSuite(pg_loss, .init = open_both, .fini = close_both, .timeout = 60);

static void mark(struct pg *on, int64_t n)
{
    pg_arg_int64(on, n);
    pg_testing_send(on, &insert_mark, NULL);
}

static int64_t marks(void)
{
    return pg_testing_int64(other, &count_marks);
}

/* The same statements as before the loss: the server has forgotten them. */
static void assert_works_again(struct pg *on)
{
    int64_t before = marks();
    pg_testing_begin(on);
    mark(on, 100);
    pg_testing_commit(on);
    cr_assert_eq(marks(), before + 1);
}

static void assert_lost(const struct error *e)
{
    cr_assert(error_is(e, ERROR_TRANSIENT), "%s: %s", error_kind_name(e->kind), e->message);
}

Test(pg_loss, before_begin_costs_nothing_but_a_new_connection)
{
    pg_testing_begin(pg);
    mark(pg, 1);
    pg_testing_commit(pg);
    pg_testing_terminate(other, pg_testing_backend(pg));
    assert_works_again(pg);
}

Test(pg_loss, before_a_query_costs_nothing_but_a_new_connection)
{
    STATEMENT(one, "SELECT 1");
    cr_assert_eq(pg_testing_int64(pg, &one), 1);
    pg_testing_terminate(other, pg_testing_backend(pg));
    cr_assert_eq(pg_testing_int64(pg, &one), 1);
}

Test(pg_loss, inside_a_transaction_is_transient_and_leaves_nothing)
{
    struct error e = { 0 }, again = { 0 };
    pg_testing_begin(pg);
    mark(pg, 1);
    pg_testing_wait(pg);
    pg_testing_terminate(other, pg_testing_backend(pg));
    cr_assert_not(pg_query(pg, &count_marks, NULL, &e));
    assert_lost(&e);
    cr_assert_neq(e.code, PG_CODE_COMMIT_UNKNOWN);
    cr_assert_not(pg_commit(pg, &again));
    cr_assert_str_eq(again.message, e.message);
    cr_assert_null(pg_native(pg));
    pg_rollback(pg);
    cr_assert_eq(marks(), 0);
    assert_works_again(pg);
}

Test(pg_loss, with_statements_queued_and_then_rollback)
{
    pg_testing_begin(pg);
    mark(pg, 1);
    pg_testing_wait(pg);
    pg_testing_terminate(other, pg_testing_backend(pg));
    mark(pg, 2);
    pg_rollback(pg);
    cr_assert_eq(marks(), 0);
    assert_works_again(pg);
}

Test(pg_loss, before_commit_is_transient)
{
    struct error e = { 0 };
    pg_testing_begin(pg);
    mark(pg, 1);
    pg_testing_wait(pg);
    pg_testing_terminate(other, pg_testing_backend(pg));
    cr_assert_not(pg_commit(pg, &e));
    assert_lost(&e);
    pg_rollback(pg);
    cr_assert_eq(marks(), 0);
    assert_works_again(pg);
}

/* Ends a backend once it sleeps. */
static void *terminate_sleeper(void *context)
{
    STATEMENT(sleepers, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'");
    struct pg *killer = pg_testing_open(database.admin_url);
    int32_t backend = *(int32_t *)context;
    do {
        usleep(5000);
        pg_arg_int32(killer, backend);
    } while (pg_testing_int64(killer, &sleepers) == 0);
    pg_testing_terminate(killer, backend);
    pg_free(killer);
    return NULL;
}

STATEMENT(sleep_long, "SELECT pg_sleep(8)::text");

Test(pg_loss, in_a_statement_of_the_pipeline_that_commits_is_known_not_to_have_committed)
{
    struct error e = { 0 };
    pthread_t thread;
    int32_t backend = pg_testing_backend(pg);
    cr_assert_eq(pthread_create(&thread, NULL, terminate_sleeper, &backend), 0);
    pg_testing_begin(pg);
    mark(pg, 1);
    pg_testing_send(pg, &sleep_long, NULL);
    cr_assert_not(pg_commit(pg, &e));
    pthread_join(thread, NULL);
    assert_lost(&e);
    cr_assert_eq(e.code, PG_SQLSTATE('5', '7', 'P', '0', '1'), "%s", e.message);
    pg_rollback(pg);
    cr_assert_eq(marks(), 0);
    assert_works_again(pg);
}

Test(pg_loss, in_the_commit_itself_is_unknown)
{
    STATEMENT(make_slow, "CREATE TEMPORARY TABLE slow (n int8)");
    STATEMENT(make_function, "CREATE FUNCTION pg_temp.sleep() RETURNS trigger LANGUAGE plpgsql AS "
                             "$$ BEGIN PERFORM pg_sleep(8); RETURN NULL; END $$");
    STATEMENT(make_trigger, "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED "
                            "FOR EACH ROW EXECUTE FUNCTION pg_temp.sleep()");
    STATEMENT(insert_slow, "INSERT INTO slow VALUES (1)");
    struct error e = { 0 };
    pthread_t thread;
    int32_t backend = pg_testing_backend(pg);
    pg_testing_run(pg, &make_slow);
    pg_testing_run(pg, &make_function);
    pg_testing_run(pg, &make_trigger);
    cr_assert_eq(pthread_create(&thread, NULL, terminate_sleeper, &backend), 0);
    pg_testing_begin(pg);
    pg_testing_send(pg, &insert_slow, NULL);
    cr_assert_not(pg_commit(pg, &e));
    pthread_join(thread, NULL);
    assert_lost(&e);
    cr_assert_eq(e.code, PG_CODE_COMMIT_UNKNOWN, "%s", e.message);
    pg_rollback(pg);
    assert_works_again(pg);
}

/* ---- Through a proxy that can cut, and keep answers to itself ---- */

static struct pg *open_through(struct proxy *proxy, uint32_t statement_timeout_ms)
{
    PGconn *conn = pg_native(other);
    CLEANUP(xfree)
    char *dsn = xasprintf("host=127.0.0.1 port=%d user=%s password='%s' dbname=%s sslmode=disable", proxy_port(proxy),
        PQuser(conn), PQpass(conn), PQdb(conn));
    struct pg_options options = { .dsn = dsn, .statement_timeout_ms = statement_timeout_ms };
    struct pg *through = NULL;
    struct error e = { 0 };
    cr_assert(pg_open(&options, &through, &e), "%s", e.message);
    return through;
}

static struct proxy *proxy_to_server(void)
{
    PGconn *conn = pg_native(other);
    return proxy_new(PQhost(conn), PQport(conn));
}

Test(pg_loss, is_noticed_by_the_goodbye_before_the_socket_closes)
{
    struct proxy *proxy = proxy_to_server();
    struct pg *through = open_through(proxy, 0);
    proxy_set(proxy, PROXY_KEEP_OPEN);
    pg_testing_terminate(other, pg_testing_backend(through));
    usleep(500000); /* until the goodbye has passed the proxy */
    assert_works_again(through);
    pg_free(through);
    proxy_free(proxy);
}

Test(pg_loss, with_the_answer_to_the_commit_is_unknown_though_it_happened)
{
    struct error e = { 0 };
    struct proxy *proxy = proxy_to_server();
    CLEANUP(pg_free) struct pg *through = open_through(proxy, 0);
    pg_testing_begin(through);
    mark(through, 1);
    pg_testing_wait(through);
    proxy_set(proxy, PROXY_CUT_AT_ANSWER);
    cr_assert_not(pg_commit(through, &e));
    assert_lost(&e);
    cr_assert_eq(e.code, PG_CODE_COMMIT_UNKNOWN);
    cr_assert_eq(marks(), 1, "the row is there: whoever takes the error for a failure writes it twice");
    pg_rollback(through);
    proxy_set(proxy, PROXY_PASS);
    assert_works_again(through);
    pg_free(TAKE(through));
    proxy_free(proxy);
}

Test(pg_loss, outside_a_transaction_is_unknown_too)
{
    struct error e = { 0 };
    struct proxy *proxy = proxy_to_server();
    struct pg *through = open_through(proxy, 0);
    mark(through, 1);
    pg_testing_wait(through);
    proxy_set(proxy, PROXY_CUT_AT_ANSWER);
    mark(through, 2);
    cr_assert_not(pg_wait(through, &e));
    assert_lost(&e);
    cr_assert_eq(e.code, PG_CODE_COMMIT_UNKNOWN);
    cr_assert_eq(marks(), 2);
    proxy_set(proxy, PROXY_PASS);
    assert_works_again(through);
    pg_free(through);
    proxy_free(proxy);
}

Test(pg_loss, to_silence_is_noticed_after_the_statements_timeouts)
{
    struct error e = { 0 };
    struct proxy *proxy = proxy_to_server();
    struct pg *through = open_through(proxy, 1000);
    pg_testing_begin(through);
    mark(through, 1);
    proxy_set(proxy, PROXY_SILENT);
    int64_t since_us = monotonic_us();
    cr_assert_not(pg_wait(through, &e));
    assert_lost(&e);
    cr_assert_str_eq(e.message, "Postgres does not answer");
    cr_assert_lt(monotonic_us() - since_us, 30000000);
    pg_rollback(through);
    proxy_set(proxy, PROXY_PASS);
    assert_works_again(through);
    pg_free(through);
    proxy_free(proxy);
}

/* ---- Opening ---- */

static enum error_kind open_kind(const char *dsn, uint32_t timeout_ms, struct error *e)
{
    struct pg *none = NULL;
    *e = (struct error){ 0 };
    cr_assert_not(pg_open(&(struct pg_options){ .dsn = dsn, .connect_timeout_ms = timeout_ms }, &none, e), "%s", dsn);
    cr_assert_null(none);
    return e->kind;
}

Test(pg_loss, opening_says_whether_it_may_work_later)
{
    struct error e;
    const char *host = PQhost(pg_native(other)), *port = PQport(pg_native(other)), *user = PQuser(pg_native(other));
    const char *password = PQpass(pg_native(other));
    CLEANUP(xfree)
    char *no_database = xasprintf("host=%s port=%s user=%s password='%s' dbname=nowhere", host, port, user, password);
    CLEANUP(xfree)
    char *no_role = xasprintf("host=%s port=%s user=nobody_at_all password='no' dbname=postgres", host, port);
    CLEANUP(xfree)
    char *nobody_there = xasprintf("postgresql://postgres@127.0.0.1:%u/postgres", (unsigned)support_free_port());
    cr_assert_eq(open_kind(no_database, PATIENT_MS, &e), ERROR_FATAL, "%s", e.message);
    cr_assert_eq(e.code, PG_SQLSTATE('3', 'D', '0', '0', '0'));
    cr_assert_eq(open_kind(no_role, PATIENT_MS, &e), ERROR_FATAL, "%s", e.message);
    cr_assert_eq(open_kind(nobody_there, PATIENT_MS, &e), ERROR_TRANSIENT, "%s", e.message);
}

Test(pg_loss, a_dsn_that_does_not_parse_is_invalid_and_not_quoted)
{
    static const char *const dsns[] = { "hunter2", "password=hunter2 =", "postgresql://u:hunter2@[::1/x", "hunter2=1" };
    for (size_t i = 0; i < ARRAY_LEN(dsns); i++) {
        struct error e;
        cr_assert_eq(open_kind(dsns[i], PATIENT_MS, &e), ERROR_INVALID, "%s: %s", dsns[i], e.message);
        cr_assert_null(strstr(e.message, "hunter2"));
        cr_assert_str_eq(e.field, "dsn");
    }
}

Test(pg_loss, a_server_that_never_answers_is_given_up_in_time)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, size), 0);
    cr_assert_eq(listen(listener, 1), 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    CLEANUP(xfree) char *dsn = xasprintf("postgresql://u@127.0.0.1:%d/d", ntohs(address.sin_port));
    struct error e;
    int64_t since_us = monotonic_us();
    cr_assert_eq(open_kind(dsn, 300, &e), ERROR_TRANSIENT);
    cr_assert_lt(monotonic_us() - since_us, 30000000);
    cr_assert_str_eq(e.message, "Postgres did not answer within 300 ms");
    close(listener);
}
