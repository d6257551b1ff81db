/* The relay's promise, on real Postgres and real Kafka: each committed row once, of each key in order, whatever dies
 * when. */
#include "cleanup.h"
#include "control.h"
#include "relay_sql.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char topic[] = "orders.accepted.v1";

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

static size_t count_events(struct rig *rig, size_t expected, int timeout_s)
{
    size_t count;

    xfree(rig_read(rig, expected, timeout_s, &count));
    return count;
}

/* The events of `topic` so far, as "a:1 b:1 …". */
static void expect_order(struct rig *rig, const char *expected, size_t count)
{
    char text[4096] = "";
    size_t read, len = 0;
    struct rig_event *events = rig_read(rig, count, 10, &read);

    for (size_t i = 0; i < read; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", i ? " " : "", events[i].payload);
    cr_assert_str_eq(text, expected);
    xfree(events);
}

Test(relay, publishes_each_row_once_and_each_key_in_order)
{
    struct rig rig;
    struct rig_relay relay;

    rig_open(&rig);
    rig_insert_many(&rig, 2000, 2000); /* a backlog */
    rig_start_relay(&rig, &relay);
    rig_insert_many(&rig, 300, 1);
    rig_insert_many(&rig, 3000, 250);
    rig_expect_published(&rig, 30);
    rig_stop_relay(&relay);
    rig_expect_published(&rig, 10);
}

Test(relay, an_event_carries_the_headers_of_cloudevents)
{
    static const char traceparent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    struct rig rig;
    struct rig_relay relay;
    size_t count;
    struct rig_event *events;

    rig_open(&rig);
    rig_start_relay(&rig, &relay);
    rig_sql(rig.pg,
        "INSERT INTO outbox (topic, key, type, payload, traceparent, headers, created_at) VALUES ('%s', 'k', "
        "'penstock.orders.v1.OrderAccepted', '\\x0801', '%s', '{reason,late,empty,\"\"}', '2026-01-02 "
        "03:04:05.000678Z')",
        topic, traceparent);
    events = rig_read(&rig, 1, 20, &count);
    rig_stop_relay(&relay);
    cr_assert_eq(count, 1);
    cr_expect_str_eq(events[0].headers,
        "ce_specversion=1.0 ce_id=trade-ledger-1 ce_source=/penstock/trade-ledger "
        "ce_type=penstock.orders.v1.OrderAccepted ce_time=2026-01-02T03:04:05.000678Z "
        "content-type=application/protobuf "
        "traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 reason=late empty= ");
    xfree(events);
}

Test(relay, any_bytes_arrive_as_they_are)
{
    struct rig rig;
    struct rig_relay relay;

    rig_open(&rig);
    rig_start_relay(&rig, &relay);
    rig_expect_any_bytes(&rig, 60);
    rig_stop_relay(&relay);
}

/* A takes its transaction number, then waits for a row that B holds; B writes its event and commits; then A writes its
 * own. An xid horizon publishes A first, or waits for A; a snapshot does neither. */
Test(relay, a_transaction_that_waited_for_a_lock_comes_after_the_one_it_waited_for)
{
    for (int running = 0; running < 2; running++) {
        struct rig rig;
        struct rig_relay relay;

        rig_open(&rig);
        PGconn *a = rig_connect(rig.database.admin_url), *b = rig_connect(rig.database.admin_url);
        rig_sql(rig.pg, "CREATE TABLE contended AS SELECT 0 AS n");
        if (running) {
            rig_start_relay(&rig, &relay);
            rig_wait_state(&relay, RELAY_ACTIVE, 20);
        }
        rig_sql(a, "BEGIN");
        rig_sql(a, "SELECT pg_current_xact_id()");
        rig_sql(b, "BEGIN");
        rig_sql(b, "UPDATE contended SET n = n + 1");
        cr_assert(PQsendQuery(a, "UPDATE contended SET n = n + 1")); /* waits */
        rig_insert(b, topic, "k", 1);
        sleep_ms(50);
        rig_sql(b, "COMMIT");
        PQclear(PQgetResult(a));
        cr_assert_null(PQgetResult(a));
        if (running)
            expect_order(&rig, "k:1", 1); /* not held up by A */
        rig_insert(a, topic, "k", 2);
        rig_sql(a, "COMMIT");
        if (!running)
            rig_start_relay(&rig, &relay);
        expect_order(&rig, "k:1 k:2", 2);
        rig_stop_relay(&relay);
    }
}

/* When the relay last looked for new rows, once that is later than `before_us`. */
static int64_t next_look_us(struct rig *rig, int64_t before_us)
{
    int64_t at_us = 0;

    for (int i = 0; i < 12000; i++) {
        at_us = rig_number(rig->pg,
            "SELECT coalesce(max(extract(epoch FROM query_start) * 1000000), 0)::bigint "
            "FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'outbox-relay' AND query LIKE '%pg_current_snapshot()%insert_lsn%' "
            "AND pid <> pg_backend_pid()");
        if (at_us > before_us)
            return at_us;
        sleep_ms(5);
    }
    cr_assert_fail("the relay has stopped looking");
    return at_us;
}

/* A quiet source is looked at ever more rarely: half as long again lies between two looks as between the two before. So
 * a look that comes in less than half the time was not made by the clock. */
Test(relay, a_notification_wakes_it_long_before_its_next_look)
{
    struct rig rig;
    struct rig_relay relay;
    bool woken = false;

    rig_open(&rig);
    rig.options.poll_max_us = 3600 * (int64_t)1000000;
    rig_start_relay(&rig, &relay);
    rig_wait_state(&relay, RELAY_ACTIVE, 20);
    for (int64_t look_us = 0, pause_us = 0; !woken && pause_us < 10000000;) {
        int64_t at_us = next_look_us(&rig, look_us);

        pause_us = look_us ? at_us - look_us : 0;
        look_us = at_us;
        if (pause_us < 300000)
            continue;
        rig_sql(rig.pg, "NOTIFY outbox");
        at_us = next_look_us(&rig, look_us); /* on a machine without a moment to spare it is too late, and the next time
                                              * there is more time */
        woken = at_us - look_us < pause_us / 2;
        look_us = at_us;
    }
    cr_assert(woken);
    rig_sql(rig.pg, "BEGIN");
    rig_insert(rig.pg, topic, "k", 1);
    rig_sql(rig.pg, "NOTIFY outbox");
    rig_sql(rig.pg, "COMMIT");
    expect_order(&rig, "k:1", 1);
    rig_stop_relay(&relay);
}

Test(relay, a_long_transaction_delays_only_its_own_rows)
{
    struct rig rig;
    struct rig_relay relay;

    rig_open(&rig);
    rig_start_relay(&rig, &relay);
    PGconn *slow = rig_connect(rig.database.admin_url);
    rig_sql(slow, "BEGIN");
    rig_insert(slow, topic, "slow", 1);
    for (int i = 1; i <= 3; i++)
        rig_insert(rig.pg, topic, "k", i);
    expect_order(&rig, "k:1 k:2 k:3", 3);
    rig_insert(slow, topic, "slow", 2);
    rig_sql(slow, "COMMIT");
    cr_assert_eq(count_events(&rig, 5, 10), 5);
    rig_stop_relay(&relay);
    cr_assert_eq(count_events(&rig, 5, 10), 5);
}

Test(relay, rows_of_a_rolled_back_transaction_never_appear)
{
    struct rig rig;
    struct rig_relay relay;

    rig_open(&rig);
    rig_start_relay(&rig, &relay);
    rig_sql(rig.pg, "BEGIN");
    rig_insert(rig.pg, topic, "k", 1);
    rig_sql(rig.pg, "ROLLBACK");
    rig_insert(rig.pg, topic, "k", 2);
    expect_order(&rig, "k:2", 1);
    rig_stop_relay(&relay);
}

/* Committed at random by four sessions at once, some transactions long, some rolled back. */
Test(relay, concurrent_transactions_lose_nothing)
{
    enum { SESSIONS = 4, STEPS = 1500 };
    unsigned seed = (unsigned)support_random();
    struct rig rig;
    struct rig_relay relay;
    PGconn *sessions[SESSIONS];
    bool open[SESSIONS] = { 0 };

    printf("seed %u\n", seed);
    rig_open(&rig);
    rig_start_relay(&rig, &relay);
    for (int i = 0; i < SESSIONS; i++)
        sessions[i] = rig_connect(rig.database.admin_url);
    for (int step = 0; step < STEPS; step++) {
        int i = rand_r(&seed) % SESSIONS, what = rand_r(&seed) % 10;
        char key[16];

        snprintf(key, sizeof key, "s%d", i); /* a key is written by one transaction at a time, as rows are locked */
        if (!open[i])
            rig_sql(sessions[i], "BEGIN");
        open[i] = true;
        if (what < 7)
            rig_insert(sessions[i], topic, key, step);
        else
            rig_sql(sessions[i], what < 9 ? "COMMIT" : "ROLLBACK");
        open[i] = what < 7;
    }
    for (int i = 0; i < SESSIONS; i++)
        rig_sql(sessions[i], "COMMIT");
    rig_expect_published(&rig, 30);
    rig_stop_relay(&relay);
}

static void crash_at(const char *point)
{
    struct rig rig;
    char visit[64];

    rig_open(&rig);
    rig.options.transaction_us = 0; /* a Kafka transaction for each page: many to a round */
    rig_insert_many(&rig, 3000, 3000);
    for (int nth = 1; nth <= 4; nth++) { /* each start comes a few steps further and dies */
        snprintf(visit, sizeof visit, "%s:%d", point, nth);
        rig_wait_killed(rig_fork_relay(&rig, visit), 30);
        rig_insert_many(&rig, 100, 10);
    }
    pid_t pid = rig_fork_relay(&rig, NULL);
    rig_expect_published(&rig, 60);
    rig_kill(pid, SIGTERM);
    rig_expect_published(&rig, 10);
}

Test(relay, killed_after_reading_a_page_loses_and_repeats_nothing, .timeout = 300)
{
    crash_at("relay.read");
}

Test(relay, killed_after_producing_loses_and_repeats_nothing, .timeout = 300)
{
    crash_at("relay.produced");
}

Test(relay, killed_between_the_last_delivery_report_and_the_commit_loses_and_repeats_nothing, .timeout = 300)
{
    crash_at("relay.delivered");
}

Test(relay, killed_after_a_commit_loses_and_repeats_nothing, .timeout = 300)
{
    crash_at("relay.committed");
}

/* Returns after how many ms. */
static int64_t take_over(int signal)
{
    struct rig rig;
    struct rig_relay second;
    struct relay_status status = { 0 };
    pid_t first;

    rig_open(&rig);
    first = rig_fork_relay(&rig, NULL);
    rig_insert_many(&rig, 500, 100);
    rig_expect_published(&rig, 60);
    rig_start_relay(&rig, &second);
    rig_wait_state(&second, RELAY_STANDBY, 5);

    int64_t begin_us = monotonic_us();
    cr_assert_eq(kill(first, signal), 0);
    while (status.state != RELAY_ACTIVE && monotonic_us() - begin_us < 20000000) {
        relay_get_status(second.relay, &status);
        sleep_ms(5);
    }
    int64_t took_ms = (monotonic_us() - begin_us) / 1000;
    rig_insert_many(&rig, 500, 100);
    rig_expect_published(&rig, 60);
    rig_kill(first, SIGKILL);
    rig_stop_relay(&second);
    return took_ms;
}

/* On a machine that is busy with other things the best of three, and longer where processes wait for a core. */
static void takes_over_within(int signal, int64_t limit_ms)
{
    int64_t took_ms = INT64_MAX;

    for (int i = 0; i < 3 && took_ms > limit_ms; i++) {
        took_ms = take_over(signal);
        printf("taken over after %" PRId64 " ms\n", took_ms);
    }
    cr_expect_leq(took_ms * 1000, rig_takeover_limit_us(limit_ms * 1000));
}

Test(relay, a_relay_that_waits_takes_over_from_a_killed_one_within_three_seconds)
{
    takes_over_within(SIGKILL, 3000);
}

Test(relay, a_relay_that_waits_takes_over_from_a_stopped_one_within_three_seconds)
{
    takes_over_within(SIGSTOP, 3000);
}

/* The zombie: stopped with rows in hand, it wakes after another relay has published them. */
Test(relay, a_paused_relay_is_taken_over_and_publishes_nothing_when_it_wakes)
{
    struct rig rig;
    struct rig_relay second;
    pid_t first;

    rig_open(&rig);
    rig.options.transaction_us = 1000000;
    rig_insert_many(&rig, 100000, 100000);
    first = rig_fork_relay(&rig, NULL);
    while (rig_number(rig.pg, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%bytes_before%' AND datname = "
                              "current_database() AND "
                              "application_name = 'outbox-relay'") == 0)
        sleep_ms(2);
    sleep_ms(50); /* in the middle of its first transaction */
    rig_kill(first, SIGSTOP);
    rig_start_relay(&rig, &second);
    rig_wait_state(&second, RELAY_ACTIVE, 4);
    rig_kill(first, SIGCONT);
    rig_expect_published(&rig, 60);
    rig_wait_state(&second, RELAY_ACTIVE, 1);
    rig_kill(first, SIGTERM);
    rig_stop_relay(&second);
    rig_expect_published(&rig, 10);
}

Test(relay, goes_on_when_postgres_cuts_its_sessions)
{
    struct rig rig;
    struct rig_relay relay;

    rig_open(&rig);
    rig_start_relay(&rig, &relay);
    for (int i = 0; i < 6; i++) {
        rig_insert_many(&rig, 500, 100);
        rig_sql(rig.pg, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND "
                        "application_name LIKE 'outbox-relay%%' AND random() < 0.7");
        sleep_ms(100);
    }
    rig_expect_published(&rig, 30);
    rig_stop_relay(&relay);
}

Test(relay, clean_up_deletes_what_is_published_and_nothing_else)
{
    struct rig rig;
    struct rig_relay relay;

    rig_open(&rig);
    rig.options.cleanup = true;
    rig_start_relay(&rig, &relay);
    PGconn *slow = rig_connect(rig.database.admin_url);
    rig_sql(slow, "BEGIN");
    rig_insert(slow, topic, "slow", 1); /* the lowest id, the last commit */
    rig_insert_many(&rig, 5000, 500);
    for (int i = 0; i < 600 && rig_number(rig.pg, "SELECT count(*) FROM outbox") > 0; i++)
        sleep_ms(100);
    cr_assert_eq(rig_number(rig.pg, "SELECT count(*) FROM outbox"), 0);
    rig_sql(slow, "COMMIT");
    cr_assert_eq(count_events(&rig, 5001, 20), 5001);
    rig_stop_relay(&relay);
}

/* `before` was taken while a transaction ran; it has committed since, its row is waiting to be published. */
Test(relay, clean_up_leaves_a_row_that_its_snapshot_does_not_see)
{
    struct rig rig;
    struct cleanup cleanup;
    struct snapshot before;
    struct mapping_sql sql;
    struct pg_statement statement;
    struct error e = { 0 };
    CLEANUP(pg_free) struct pg *pg = NULL;
    PGresult *present;
    bool more;

    rig_open(&rig);
    PGconn *slow = rig_connect(rig.database.admin_url);
    rig_sql(slow, "BEGIN");
    rig_insert(slow, topic, "slow", 1);
    rig_insert_many(&rig, 10, 10);
    present = PQexec(rig.pg, "SELECT pg_current_snapshot()");
    cr_assert(snapshot_parse(PQgetvalue(present, 0, 0), &before, &e), "%s", e.message);
    PQclear(present);
    rig_sql(slow, "COMMIT");
    rig_insert_many(&rig, 1, 1);

    cr_assert(pg_open(&(struct pg_options){ .dsn = rig.database.relay_url }, &pg, &e), "%s", e.message);
    mapping_sql_init(&sql, &mapping_default);
    statement = control_statement(&sql, &sql_cleanup);
    mapping_sql_release(&sql);
    cleanup_init(&cleanup, &statement, 0);
    cleanup_published(&cleanup, &before, 1);
    cr_assert(cleanup_step(&cleanup, pg, 1, &more, &e), "%s", e.message);
    cr_expect_eq(cleanup.deleted_rows, 10);
    cr_expect_eq(rig_number(rig.pg, "SELECT count(*) FROM outbox"), 2);
    cr_expect_eq(rig_number(rig.pg, "SELECT count(*) FROM outbox WHERE key = 'slow'"), 1);
    cleanup_release(&cleanup);
    control_statement_release(&statement);
    snapshot_release(&before);
}

Test(relay, clean_up_of_a_relay_that_never_commits_deletes_nothing)
{
    struct rig rig;

    rig_open(&rig);
    rig.options.cleanup = true;
    rig_insert_many(&rig, 1000, 1000);
    for (int i = 0; i < 3; i++)
        rig_wait_killed(rig_fork_relay(&rig, "relay.delivered"), 30);
    cr_assert_eq(rig_number(rig.pg, "SELECT count(*) FROM outbox"), 1000);
}

Test(relay, another_database_under_the_same_name_is_refused_until_a_reset_is_asked_for)
{
    struct rig rig;
    struct rig_relay relay;
    struct relay_status status;

    rig_open(&rig);
    rig_insert_many(&rig, 100, 100);
    rig_start_relay(&rig, &relay);
    rig_expect_published(&rig, 20);
    rig_stop_relay(&relay);

    rig_store_position(&rig, 12345); /* made on another Postgres */
    rig_insert_many(&rig, 100, 100);
    rig_start_relay(&rig, &relay);
    rig_wait_state(&relay, RELAY_BACKING_OFF, 20);
    relay_get_status(relay.relay, &status);
    cr_expect_not_null(strstr(status.trouble, "another Postgres"), "%s", status.trouble);
    rig_stop_relay(&relay);
    cr_assert_eq(count_events(&rig, 100, 10), 100);

    rig.options.reset = true;
    rig_start_relay(&rig, &relay);
    cr_assert_eq(count_events(&rig, 300, 20), 300); /* anew: all rows of this database */
    rig_stop_relay(&relay);
}

Test(relay, large_rows_come_in_pages_of_bounded_bytes)
{
    struct rig rig;
    struct rig_relay relay;

    rig_open(&rig);
    rig.options.page_bytes = 100000;
    rig_sql(rig.pg,
        "INSERT INTO outbox (topic, key, type, payload) SELECT '%s', 'k', 't', convert_to(repeat('x', n), 'UTF8') "
        "FROM unnest('{1,99998,1,1,100000,100001,500000,1,900000}'::int[]) AS n",
        topic);
    rig_start_relay(&rig, &relay);
    cr_assert_eq(count_events(&rig, 9, 20), 9);
    rig_stop_relay(&relay);
}

static void expect_parked(struct rig *rig, const char *expected)
{
    PGresult *parked =
        PQexec(rig->pg, "SELECT coalesce(string_agg(convert_from(key, 'UTF8') || ' ' || left(reason, 12), ', ' "
                        "ORDER BY id), '') FROM outbox_parked");

    cr_assert_eq(PQresultStatus(parked), PGRES_TUPLES_OK, "%s", PQerrorMessage(rig->pg));
    cr_assert_str_eq(PQgetvalue(parked, 0, 0), expected);
    PQclear(parked);
}

Test(relay, a_row_too_large_for_the_broker_is_parked_with_its_key_and_the_others_go_on)
{
    struct rig rig;
    struct rig_relay relay;

    rig_open(&rig);
    rig.options.compression = "none";
    rig_insert_many(&rig, 1000, 1000);
    rig_insert(rig.pg, topic, "big", 1);
    rig_sql(rig.pg,
        "INSERT INTO outbox (topic, key, type, payload) VALUES ('%s', 'big', 't', convert_to(repeat('x', 3000000), "
        "'UTF8'))",
        topic);
    rig_insert(rig.pg, topic, "big", 3);
    rig_insert_many(&rig, 1000, 1000);
    rig_start_relay(&rig, &relay);
    cr_assert_eq(count_events(&rig, 2001, 90), 2001);
    rig_insert(rig.pg, topic, "big", 4);
    rig_insert(rig.pg, topic, "small", 1);
    cr_assert_eq(count_events(&rig, 2002, 20), 2002);
    expect_parked(&rig, "big Broker: Mess, big waits behind, big waits behind");
    rig_expect_published(&rig, 10);

    rig_sql(rig.pg, "DELETE FROM outbox_parked"); /* given up */
    rig_insert(rig.pg, topic, "big", 5);
    cr_assert_eq(count_events(&rig, 2003, 20), 2003);
    expect_parked(&rig, "");
    rig_stop_relay(&relay);
}

Test(relay, rows_of_an_unknown_topic_are_parked_and_the_others_go_on)
{
    struct rig rig;
    struct rig_relay relay;

    rig_open(&rig);
    rig_insert_many(&rig, 300, 300);
    rig_insert(rig.pg, "no.such.topic.v1", "a", 1);
    rig_insert_many(&rig, 300, 300);
    rig_insert(rig.pg, "no.such.topic.v1", "b", 2);
    rig_start_relay(&rig, &relay);
    cr_assert_eq(count_events(&rig, 600, 90), 600);
    rig_insert(rig.pg, "no.such.topic.v1", "a", 3);
    rig_insert(rig.pg, topic, "a", 4);
    cr_assert_eq(count_events(&rig, 601, 20), 601);
    expect_parked(&rig, "a Broker: Unkn, b waits behind, a waits behind");
    rig_expect_published(&rig, 10);
    rig_stop_relay(&relay);
}

Test(relay, a_row_with_headers_that_are_no_pairs_is_parked)
{
    struct rig rig;
    struct rig_relay relay;

    rig_open(&rig);
    rig_sql(
        rig.pg, "INSERT INTO outbox (topic, key, type, payload, headers) VALUES ('%s', 'k', 't', '', '{a,1}')", topic);
    rig_sql(rig.pg, "INSERT INTO outbox (topic, key, type, payload, headers) VALUES ('%s', 'k', 't', '', '{a,1,b}')",
        topic);
    rig_sql(rig.pg, "INSERT INTO outbox (topic, key, type, payload, headers) VALUES ('%s', 'l', 't', '', '{a,NULL}')",
        topic);
    rig_sql(rig.pg, "INSERT INTO outbox (topic, type, payload, headers) VALUES ('%s', 't', '', '{}')", topic);
    rig_sql(rig.pg, "INSERT INTO outbox (topic, key, type, payload) VALUES ('%s', 'k', 't', '')", topic);
    rig_start_relay(&rig, &relay);
    cr_assert_eq(count_events(&rig, 2, 20), 2);
    expect_parked(&rig, "k headers has , l headers has , k waits behind");
    rig_stop_relay(&relay);
}

Test(relay, asked_to_stop_at_a_refused_row_it_stops_before_it)
{
    struct rig rig;
    struct rig_relay relay;

    rig_open(&rig);
    rig.options.park = false;
    rig_insert(rig.pg, topic, "k", 1);
    rig_start_relay(&rig, &relay);
    cr_assert_eq(count_events(&rig, 1, 20), 1);
    rig_insert(rig.pg, "no.such.topic.v1", "k", 2);
    rig_wait_state(&relay, RELAY_BACKING_OFF, 20);
    rig_stop_relay(&relay);
    cr_assert_eq(count_events(&rig, 1, 10), 1);
    expect_parked(&rig, "");
}

/* ---- Someone else's outbox ---- */

/* As Debezium's outbox event router expects it, and the two columns that polling needs. */
static const char debezium_table[] =
    "CREATE SCHEMA shop; "
    "CREATE TABLE shop.\"Outbox Events\" (id uuid PRIMARY KEY, aggregatetype varchar(255) NOT NULL, aggregateid "
    "varchar(255) "
    "NOT NULL, type varchar(255) NOT NULL, payload jsonb, tracing json, happened bigint); "
    "ALTER TABLE shop.\"Outbox Events\" ADD COLUMN \"or\"\"der\" bigint GENERATED ALWAYS AS IDENTITY UNIQUE, "
    "ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id(); "
    "GRANT USAGE ON SCHEMA shop TO PUBLIC; GRANT SELECT, DELETE ON shop.\"Outbox Events\" TO PUBLIC";

static struct mapping debezium_mapping(void)
{
    struct mapping mapping = mapping_default;

    mapping.table = "shop.Outbox Events";
    mapping.order_column = "or\"der";
    mapping.id_column = "id";
    mapping.id_format = "{}";
    mapping.topic_column = "aggregatetype";
    mapping.topic_format = "orders.{}.v1";
    mapping.key_column = "aggregateid";
    mapping.type_format = "it's.{}";
    mapping.headers_column = "tracing";
    mapping.trace_column = "";
    mapping.time_column = "happened";
    mapping.ce_source = "/shop";
    return mapping;
}

Test(relay, a_table_of_another_application_is_published_as_the_mapping_says)
{
    struct rig rig;
    struct rig_relay relay;
    struct mapping mapping = debezium_mapping();
    size_t count;

    rig_open(&rig);
    rig.options.mapping = &mapping;
    rig_sql(rig.pg, "%s", debezium_table);
    rig_sql(rig.pg, "INSERT INTO shop.\"Outbox Events\" VALUES ('6f9619ff-8b86-d011-b42d-00c04fc964ff', 'accepted', "
                    "'order-1', 'Paid', "
                    "'{\"a\": 1}', '{\"traceparent\": \"t\", \"n\": 5}', 1767323045000)");
    rig_start_relay(&rig, &relay);
    struct rig_event *events = rig_read(&rig, 1, 20, &count);
    cr_assert_eq(count, 1);
    cr_expect_str_eq(events[0].topic, "orders.accepted.v1");
    cr_expect_str_eq(events[0].key, "order-1");
    cr_expect_str_eq(events[0].payload, "{\"a\": 1}");
    cr_expect_str_eq(events[0].headers,
        "ce_specversion=1.0 ce_id=6f9619ff-8b86-d011-b42d-00c04fc964ff ce_source=/shop ce_type=it's.Paid "
        "ce_time=2026-01-02T03:04:05.000000Z content-type=application/json n=5 traceparent=t ");
    xfree(events);

    rig_sql(rig.pg,
        "INSERT INTO shop.\"Outbox Events\" SELECT gen_random_uuid(), 'accepted', 'k' || n %% 7, 'T', to_jsonb(n) "
        "FROM generate_series(1, 3000) AS n");
    events = rig_read(&rig, 3001, 20, &count);
    cr_assert_eq(count, 3001);
    for (size_t i = 0; i < count; i++) /* of a key in order: by the column that says so, not by the uuid */
        for (size_t j = i + 1; j < count && j < i + 20; j++)
            if (strcmp(events[i].key, events[j].key) == 0 && events[i].key[0] == 'k')
                cr_assert_lt(atoi(events[i].payload), atoi(events[j].payload));
    xfree(events);
    rig_stop_relay(&relay);
}

/* Until the source's trouble says `expected`. */
static void wait_trouble(struct rig_relay *relay, const char *expected)
{
    struct relay_status status;

    for (int i = 0; i < 600; i++) {
        relay_get_status(relay->relay, &status);
        if (strstr(status.trouble, expected))
            return;
        sleep_ms(100);
    }
    cr_assert_fail("the trouble is \"%s\", not \"%s\"", status.trouble, expected);
}

struct wrong_mapping {
    size_t member;        /* which of the mapping's names … */
    const char *name;     /* … is set to what */
    const char *expected; /* trouble */
};

Test(relay, a_mapping_that_does_not_fit_the_table_is_named_and_tried_again)
{
    static const struct wrong_mapping cases[] = {
        { offsetof(struct mapping, table), "nowhere", "RELAY_TRADE_LEDGER_TABLE: there is no table" },
        { offsetof(struct mapping, key_column), "aggregate", "_KEY_COLUMN: table \"outbox\" has no column" },
        { offsetof(struct mapping, xid_column), "created_at", "_XID_COLUMN: column \"created_at\" is timest" },
        { offsetof(struct mapping, time_column), "payload", "_TIME_COLUMN: column \"payload\" is bytea" },
        { offsetof(struct mapping, order_column), "topic", "_ORDER_COLUMN: column \"topic\" is text" },
        { offsetof(struct mapping, control_table), "none", "_CONTROL_TABLE: " },
    };
    struct rig rig;

    rig_open(&rig);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mapping mapping = mapping_default;
        struct rig_relay relay;

        *(const char **)((char *)&mapping + cases[i].member) = cases[i].name;
        rig.options.mapping = &mapping;
        rig_start_relay(&rig, &relay);
        wait_trouble(&relay, cases[i].expected);
        rig_stop_relay(&relay);
    }

    struct rig_relay relay; /* a column that comes later is found */
    struct mapping mapping = mapping_default;
    mapping.trace_column = "trace";
    rig.options.mapping = &mapping;
    rig_start_relay(&rig, &relay);
    rig_wait_state(&relay, RELAY_BACKING_OFF, 20);
    rig_sql(rig.pg, "ALTER TABLE outbox ADD COLUMN trace text");
    rig_insert(rig.pg, topic, "k", 1);
    cr_assert_eq(count_events(&rig, 1, 20), 1);
    rig_stop_relay(&relay);
}
