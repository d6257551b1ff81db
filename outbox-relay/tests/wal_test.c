/* The relay's promise in wal mode, on real Postgres and real Kafka: each committed row once, in the order of the
 * commits, whatever dies when; and never a silent gap when slot, server or publication are not what they should be.
 * The relay's role may replicate and read the table, no more. */
#include "pgoutput.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

static const char topic[] = "orders.accepted.v1";

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

/* rig.options for the log; the role gets what the README says, and nothing of the table but SELECT. */
static void open_wal(struct rig *rig)
{
    static char slot[SUPPORT_NAME_MAX];
    PGresult *role;

    rig_open(rig);
    snprintf(slot, sizeof slot, "%s", rig->database.name);
    rig->options.mode = SOURCE_WAL;
    rig->options.slot = slot;
    rig->options.publication = "outbox";
    rig->options.wal_catch_up_bytes = 64 * 1024 * 1024;
    rig->options.wal_peek_changes = 1000;
    rig->options.wal_spill_folder = "/tmp";
    rig_sql(rig->pg, "CREATE PUBLICATION outbox FOR TABLE outbox WITH (publish = 'insert')");
    role =
        PQexec(rig->pg, "SELECT DISTINCT grantee FROM information_schema.role_table_grants WHERE table_name = 'outbox' "
                        "AND privilege_type = 'DELETE' AND grantee <> current_user");
    cr_assert_eq(PQntuples(role), 1);
    rig_sql(rig->pg, "REVOKE DELETE ON outbox FROM \"%s\"", PQgetvalue(role, 0, 0));
    rig_sql(rig->pg, "ALTER ROLE \"%s\" REPLICATION", PQgetvalue(role, 0, 0));
    rig_sql(rig->pg, "ALTER ROLE \"%s\" SET logical_decoding_work_mem = '64kB'", PQgetvalue(role, 0, 0));
    PQclear(role);
}

static void make_slot(struct rig *rig)
{
    rig_sql(rig->pg, "SELECT pg_create_logical_replication_slot('%s', 'pgoutput')", rig->options.slot);
}

/* The session of a relay that has just ended may still have it. */
static void drop_slot(struct rig *rig, PGconn *pg)
{
    rig_sql(pg,
        "DO $$ BEGIN WHILE (SELECT active FROM pg_replication_slots WHERE slot_name = '%s') LOOP "
        "PERFORM pg_sleep(0.02); END LOOP; END $$",
        rig->options.slot);
    rig_sql(pg, "SELECT pg_drop_replication_slot('%s')", rig->options.slot);
}

static int64_t slot_number(struct rig *rig, const char *column)
{
    char sql[256];

    snprintf(sql, sizeof sql, "SELECT %s FROM pg_replication_slots WHERE slot_name = '%s'", column, rig->options.slot);
    return rig_number(rig->pg, sql);
}

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

Test(wal, publishes_each_row_once_and_each_key_in_order)
{
    struct rig rig;
    struct rig_relay relay;

    open_wal(&rig);
    make_slot(&rig);
    rig_insert_many(&rig, 2000, 2000);
    rig_start_relay(&rig, &relay);
    rig_insert_many(&rig, 300, 1);
    rig_insert_many(&rig, 3000, 250);
    rig_expect_published(&rig, 30);
    rig_stop_relay(&relay);
    rig_expect_published(&rig, 10);
}

Test(wal, a_backlog_is_peeked_page_by_page_and_then_the_stream_goes_on)
{
    struct rig rig;
    struct rig_relay relay;

    open_wal(&rig);
    make_slot(&rig);
    rig.options.wal_catch_up_bytes = 1000;
    rig_insert_many(&rig, 3000, 1500);
    rig_insert_many(&rig, 2000, 1);
    rig_start_relay(&rig, &relay);
    rig_expect_published(&rig, 30);
    rig_insert_many(&rig, 300, 1);
    rig_expect_published(&rig, 30);
    rig_stop_relay(&relay);
    rig_expect_published(&rig, 10);
}

Test(wal, any_bytes_arrive_as_they_are)
{
    struct rig rig;
    struct rig_relay relay;

    open_wal(&rig);
    rig_start_relay(&rig, &relay);
    rig_wait_state(&relay, RELAY_ACTIVE, 20);
    rig_expect_any_bytes(&rig, 60);
    rig_stop_relay(&relay);
}

/* Two sessions write the same key; the one that began first commits last. */
Test(wal, events_come_in_the_order_of_the_commits)
{
    struct rig rig;
    struct rig_relay relay;

    open_wal(&rig);
    make_slot(&rig);
    PGconn *a = rig_connect(rig.database.admin_url);
    rig_sql(a, "BEGIN");
    rig_insert(a, topic, "k", 1);
    rig_insert(rig.pg, topic, "k", 2);
    rig_start_relay(&rig, &relay);
    expect_order(&rig, "k:2", 1);
    rig_insert(a, topic, "k", 3);
    rig_insert(rig.pg, topic, "k", 4);
    rig_sql(a, "COMMIT");
    rig_sql(rig.pg, "BEGIN");
    rig_insert(rig.pg, topic, "k", 5);
    rig_sql(rig.pg, "ROLLBACK");
    expect_order(&rig, "k:2 k:4 k:1 k:3", 4);
    rig_stop_relay(&relay);
}

/* More than logical_decoding_work_mem, so it is sent before its commit; parts of it are rolled back. */
static void insert_large(PGconn *pg, int rows)
{
    rig_sql(pg, "BEGIN");
    for (int i = 0; i < 4; i++) {
        rig_sql(pg,
            "INSERT INTO outbox (topic, key, type, payload) SELECT '%s', 'kept', 't', 'kept:0'::bytea "
            "FROM generate_series(1, %d)",
            topic, rows / 4);
        rig_sql(pg, "SAVEPOINT s");
        rig_sql(pg,
            "INSERT INTO outbox (topic, key, type, payload) SELECT '%s', 'gone', 't', 'gone:0'::bytea "
            "FROM generate_series(1, 2000)",
            topic);
        rig_sql(pg, i % 2 ? "RELEASE s" : "ROLLBACK TO s");
    }
}

Test(wal, a_large_transaction_is_streamed_and_its_aborted_parts_never_appear)
{
    struct rig rig;
    struct rig_relay relay;
    char sql[256];

    open_wal(&rig);
    make_slot(&rig);
    rig_start_relay(&rig, &relay);
    rig_wait_state(&relay, RELAY_ACTIVE, 20);
    PGconn *large = rig_connect(rig.database.admin_url), *aborted = rig_connect(rig.database.admin_url);
    insert_large(large, 8000);
    insert_large(aborted, 4000);
    rig_insert_many(&rig, 100, 10); /* not held up */
    rig_sql(aborted, "ROLLBACK");
    rig_sql(large, "COMMIT");
    rig_insert_many(&rig, 100, 10);
    rig_expect_published(&rig, 30);
    snprintf(
        sql, sizeof sql, "SELECT stream_txns FROM pg_stat_replication_slots WHERE slot_name = '%s'", rig.options.slot);
    cr_expect_gt(rig_number(rig.pg, sql), 0, "it was not streamed: this tests nothing");
    rig_stop_relay(&relay);
    rig_expect_published(&rig, 10);
}

Test(wal, killed_within_a_large_transaction_it_goes_on_in_the_middle, .timeout = 300)
{
    struct rig rig;
    char visit[64];

    open_wal(&rig);
    make_slot(&rig);
    rig.options.transaction_us = 0;
    insert_large(rig.pg, 4000);
    rig_sql(rig.pg, "COMMIT");
    for (int nth = 5; nth <= 10; nth += 5) {
        snprintf(visit, sizeof visit, "%s:%d", nth % 2 ? "relay.delivered" : "relay.committed", nth);
        rig_wait_killed(rig_fork_relay(&rig, visit), 30);
    }
    pid_t pid = rig_fork_relay(&rig, NULL);
    rig_expect_published(&rig, 60);
    rig_kill(pid, SIGTERM);
    rig_expect_published(&rig, 10);
}

Test(wal, without_a_folder_for_large_transactions_they_come_when_committed)
{
    struct rig rig;
    struct rig_relay relay;

    open_wal(&rig);
    make_slot(&rig);
    rig.options.wal_spill_folder = "/no/such/folder";
    rig_start_relay(&rig, &relay);
    rig_wait_state(&relay, RELAY_ACTIVE, 20);
    insert_large(rig.pg, 4000);
    sleep_ms(300);
    rig_sql(rig.pg, "COMMIT");
    rig_insert_many(&rig, 100, 10);
    rig_expect_published(&rig, 30);
    rig_stop_relay(&relay);
}

/* Each start comes a few steps further and dies: by turns it reads the stream and peeks. */
static void crash_at(const char *point)
{
    struct rig rig;
    char visit[64];

    open_wal(&rig);
    make_slot(&rig);
    rig.options.transaction_us = 0; /* a Kafka transaction for each page */
    rig_insert_many(&rig, 1500, 1500);
    rig_insert_many(&rig, 300, 3);
    for (int nth = 1; nth <= 4; nth++) {
        rig.options.wal_catch_up_bytes = nth % 2 ? 1 << 30 : 100;
        snprintf(visit, sizeof visit, "%s:%d", point, (nth + 1) / 2);
        rig_wait_killed(rig_fork_relay(&rig, visit), 30);
        rig_insert_many(&rig, 100, 10);
    }
    pid_t pid = rig_fork_relay(&rig, NULL);
    rig_expect_published(&rig, 60);
    rig_kill(pid, SIGTERM);
    rig_expect_published(&rig, 10);
}

Test(wal, killed_after_reading_a_page_loses_and_repeats_nothing, .timeout = 300)
{
    crash_at("relay.read");
}

Test(wal, killed_after_producing_loses_and_repeats_nothing, .timeout = 300)
{
    crash_at("relay.produced");
}

Test(wal, killed_between_the_last_delivery_report_and_the_commit_loses_and_repeats_nothing, .timeout = 300)
{
    crash_at("relay.delivered");
}

Test(wal, killed_after_a_commit_loses_and_repeats_nothing, .timeout = 300)
{
    crash_at("relay.committed");
}

/* The zombie still has the slot: its session is ended once Kafka has fenced it. */
Test(wal, a_paused_relay_is_taken_over_with_its_slot_and_publishes_nothing_when_it_wakes)
{
    struct rig rig;
    struct rig_relay second;
    pid_t first;

    open_wal(&rig);
    make_slot(&rig);
    rig.options.transaction_us = 1000000;
    rig_insert_many(&rig, 60000, 60000);
    first = rig_fork_relay(&rig, NULL);
    for (int i = 0; i < 1000 && slot_number(&rig, "count(active_pid)") == 0; i++)
        sleep_ms(5);
    sleep_ms(200); /* in the middle of a Kafka transaction */
    rig_kill(first, SIGSTOP);
    rig_start_relay(&rig, &second);
    rig_wait_state(&second, RELAY_ACTIVE, 5);
    rig_kill(first, SIGCONT);
    rig_expect_published(&rig, 60);
    rig_wait_state(&second, RELAY_ACTIVE, 1);
    rig_kill(first, SIGTERM);
    rig_stop_relay(&second);
    rig_expect_published(&rig, 10);
}

Test(wal, goes_on_when_postgres_cuts_its_sessions)
{
    struct rig rig;
    struct rig_relay relay;

    open_wal(&rig);
    make_slot(&rig);
    rig_start_relay(&rig, &relay);
    for (int i = 0; i < 6; i++) {
        rig_insert_many(&rig, 500, i % 2 ? 500 : 25);
        rig_sql(rig.pg, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND "
                        "application_name LIKE 'outbox-relay%%' AND random() < 0.7");
        sleep_ms(100);
    }
    rig_expect_published(&rig, 30);
    rig_stop_relay(&relay);
}

/* Nothing of the outbox, much of something else: the log must not be kept for us. */
Test(wal, an_idle_source_lets_go_of_the_log)
{
    struct rig rig;
    struct rig_relay relay;

    open_wal(&rig);
    rig_sql(rig.pg, "CREATE TABLE other (data text)");
    rig_start_relay(&rig, &relay);
    rig_wait_state(&relay, RELAY_ACTIVE, 20);
    rig_sql(rig.pg, "INSERT INTO other SELECT repeat('x', 1000) FROM generate_series(1, 25000)");
    int64_t end = rig_number(rig.pg, "SELECT pg_current_wal_lsn() - '0/0'");
    for (int i = 0; i < 600 && slot_number(&rig, "confirmed_flush_lsn - '0/0'") < end; i++)
        sleep_ms(50);
    cr_expect_geq(slot_number(&rig, "confirmed_flush_lsn - '0/0'"), end);
    rig_insert(rig.pg, topic, "k", 1);
    expect_order(&rig, "k:1", 1);
    rig_stop_relay(&relay);
}

Test(wal, a_row_too_large_for_the_broker_is_parked_with_its_key_and_the_others_go_on)
{
    struct rig rig;
    struct rig_relay relay;

    open_wal(&rig);
    make_slot(&rig);
    rig.options.compression = "none";
    rig_insert_many(&rig, 300, 300);
    rig_insert(rig.pg, topic, "big", 1);
    rig_sql(rig.pg,
        "INSERT INTO outbox (topic, key, type, payload) VALUES ('%s', 'big', 't', "
        "convert_to(repeat('x', 3000000), 'UTF8'))",
        topic);
    rig_insert(rig.pg, topic, "big", 3);
    rig_insert_many(&rig, 300, 300);
    rig_sql(rig.pg, "CREATE TABLE was AS SELECT * FROM outbox");
    rig_start_relay(&rig, &relay);
    for (int i = 0; i < 200 && rig_number(rig.pg, "SELECT count(*) FROM outbox_parked") < 2; i++)
        sleep_ms(100);
    rig_expect_published(&rig, 30);
    cr_expect_eq(
        rig_number(rig.pg, "SELECT count(*) FROM outbox_parked p JOIN was o USING (id, topic, key, payload)"), 2);
    rig_stop_relay(&relay);
}

/* ---- What is not as it should be is said, and nothing is skipped ---- */

static void expect_trouble(struct rig *rig, const char *trouble)
{
    struct rig_relay relay;
    struct relay_status status;

    rig_start_relay(rig, &relay);
    rig_wait_state(&relay, RELAY_BACKING_OFF, 20);
    relay_get_status(relay.relay, &status);
    cr_expect(strstr(status.trouble, trouble), "\"%s\" is not in \"%s\"", trouble, status.trouble);
    rig_stop_relay(&relay);
}

static void store_position(struct rig *rig, uint64_t commit_lsn, uint64_t published_rows, uint32_t timeline)
{
    const struct publisher_options options = { .kafka = &rig->kafka,
        .source = rig->options.source,
        .mapping = &mapping_default,
        .compression = "none",
        .queue_kbytes_max = 4096,
        .transaction_timeout_ms = 10000 };
    CLEANUP(publisher_free) struct publisher *publisher = NULL;
    struct position position;
    struct error e = { 0 };

    position_init(&position);
    position.commit_lsn = commit_lsn;
    position.published_rows = published_rows;
    position.timeline = timeline;
    cr_assert(publisher_open(&options, &publisher, &e) && publisher_commit(publisher, &position, &e), "%s", e.message);
    position_release(&position);
}

Test(wal, a_slot_that_is_not_ours_is_refused)
{
    struct rig rig;
    struct support_database other;

    open_wal(&rig);
    rig_sql(rig.pg, "SELECT pg_create_logical_replication_slot('%s', 'test_decoding')", rig.options.slot);
    expect_trouble(&rig, "its plugin is \"test_decoding\"");
    drop_slot(&rig, rig.pg);

    support_database_open("identity", &other);
    PGconn *pg = rig_connect(other.admin_url);
    rig_sql(pg, "SELECT pg_create_logical_replication_slot('%s', 'pgoutput')", rig.options.slot);
    expect_trouble(&rig, "it is of database");
    drop_slot(&rig, pg);
}

Test(wal, a_slot_that_is_missing_or_made_anew_is_refused_until_a_reset_is_asked_for)
{
    struct rig rig;
    struct rig_relay relay;

    open_wal(&rig);
    rig_start_relay(&rig, &relay);
    rig_wait_state(&relay, RELAY_ACTIVE, 20);
    rig_insert(rig.pg, topic, "k", 1);
    expect_order(&rig, "k:1", 1);
    rig_stop_relay(&relay);

    drop_slot(&rig, rig.pg);
    rig_insert(rig.pg, topic, "k", 2);
    expect_trouble(&rig, "is missing, and the stored position is at");
    make_slot(&rig);
    expect_trouble(&rig, "past the stored position");

    rig.options.reset = true;
    rig_start_relay(&rig, &relay);
    rig_wait_state(&relay, RELAY_ACTIVE, 20);
    rig_insert(rig.pg, topic, "k", 3);
    expect_order(&rig, "k:1 k:3", 2);
    rig_stop_relay(&relay);
}

Test(wal, a_server_that_the_position_is_not_of_is_refused)
{
    struct rig rig;

    open_wal(&rig);
    make_slot(&rig);
    store_position(&rig, UINT64_C(1) << 60, 1, 0);
    expect_trouble(&rig, "it has lost transactions");
    store_position(&rig, 1, 1, 99);
    expect_trouble(&rig, "older timeline");
    store_position(&rig, 0, 1, 0);
    expect_trouble(&rig, "was made in poll mode");
    rig_store_position(&rig, 12345);
    expect_trouble(&rig, "another Postgres");
}

Test(wal, a_publication_that_does_not_publish_the_table_is_refused)
{
    struct rig rig;

    open_wal(&rig);
    rig.options.publication = "missing";
    expect_trouble(&rig, "there is no publication missing");
    rig.options.publication = "outbox";
    rig_sql(rig.pg, "ALTER PUBLICATION outbox SET (publish = 'update')");
    expect_trouble(&rig, "does not publish what is inserted");
    rig_sql(rig.pg, "ALTER PUBLICATION outbox SET (publish = 'insert')");
    rig_sql(rig.pg, "ALTER PUBLICATION outbox DROP TABLE outbox");
    expect_trouble(&rig, "does not publish what is inserted");
}

Test(wal, a_role_that_may_not_replicate_is_told_so)
{
    struct rig rig;

    open_wal(&rig);
    rig_sql(rig.pg,
        "DO $$ BEGIN EXECUTE format('ALTER ROLE %%I NOREPLICATION', (SELECT DISTINCT grantee FROM "
        "information_schema.role_table_grants WHERE table_name = 'outbox_parked' AND privilege_type = 'DELETE' "
        "AND grantee <> current_user)); END $$");
    expect_trouble(&rig, "replication");
}
