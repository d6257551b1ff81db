/* What can be asked of a relay: idempotent mode, redrive of parked rows, replay, pause. On real Postgres and real
 * Kafka. */
#include "control.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

static const char topic[] = "orders.accepted.v1";

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

/* Until the number that `sql` gives is `expected`. */
static void wait_number(struct rig *rig, const char *sql, int64_t expected)
{
    int64_t number = -1;

    for (int i = 0; i < 200 && (number = rig_number(rig->pg, sql)) != expected; i++)
        sleep_ms(50);
    cr_assert_eq(number, expected, "%s is %ld, not %ld", sql, (long)number, (long)expected);
}

/* The events so far, as "a:1 b:1 …". */
static void expect_order(struct rig *rig, const char *expected, size_t count)
{
    char text[4096] = "";
    size_t read, len = 0;
    struct rig_event *events = rig_read(rig, count, 10, &read);

    if (rig->options.idempotent)
        read = rig_drop_repeats(events, read);
    for (size_t i = 0; i < read; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", i ? " " : "", events[i].payload);
    cr_assert_str_eq(text, expected);
    xfree(events);
}

struct steering {
    struct rig *rig;
    struct control_sql sql;
    struct pg *pg;
    char name[SUPPORT_NAME_MAX + 32];
};

/* With the relay's own role: steering needs no more. */
static void steering_open(struct rig *rig, struct steering *ret)
{
    struct error e = { 0 };

    *ret = (struct steering){ .rig = rig };
    control_sql_init(&ret->sql, &mapping_default);
    snprintf(ret->name, sizeof ret->name, "%s%s", rig->prefix, rig->options.source);
    cr_assert(pg_open(&(struct pg_options){ .dsn = rig->database.relay_url }, &ret->pg, &e), "%s", e.message);
}

static void steering_close(struct steering *steering)
{
    pg_free(steering->pg);
    control_sql_release(&steering->sql);
}

/* ---- Idempotent mode ---- */

Test(steering, idempotent_mode_publishes_each_row_with_a_gapless_sequence)
{
    struct rig rig;
    struct rig_relay relay;
    size_t count;
    bool seen[1501] = { 0 };

    rig_open(&rig);
    rig.options.idempotent = true;
    rig_insert_many(&rig, 1000, 1000);
    rig_start_relay(&rig, &relay);
    rig_insert_many(&rig, 100, 1);
    rig_insert_many(&rig, 400, 40);
    rig_expect_published(&rig, 30);
    rig_stop_relay(&relay);

    struct rig_event *events = rig_read(&rig, 1500, 10, &count);
    cr_assert_eq(count, 1500);
    for (size_t i = 0; i < count; i++) {
        cr_assert(events[i].sequence >= 1 && events[i].sequence <= 1500);
        cr_assert_not(seen[events[i].sequence]);
        seen[events[i].sequence] = true;
    }
    xfree(events);
}

static void crash_at(const char *point)
{
    struct rig rig;
    char visit[64];

    rig_open(&rig);
    rig.options.idempotent = true;
    rig.options.cleanup = true; /* what a restart may read again must not be gone */
    rig.options.transaction_us = 0;
    rig_sql(rig.pg, "CREATE TABLE kept AS SELECT * FROM outbox"); /* clean-up deletes; the check needs them all */
    rig_sql(rig.pg,
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO kept SELECT NEW.*; RETURN "
        "NEW; END $$; CREATE TRIGGER keep BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION keep()");
    rig_insert_many(&rig, 1500, 1500);
    for (int nth = 1; nth <= 4; nth++) {
        snprintf(visit, sizeof visit, "%s:%d", point, nth * 2);
        rig_wait_killed(rig_fork_relay(&rig, visit), 30);
        rig_insert_many(&rig, 100, 10);
    }
    pid_t pid = rig_fork_relay(&rig, NULL);
    wait_number(&rig, "SELECT count(*) FROM outbox", 0);
    rig_kill(pid, SIGTERM);
    rig_sql(rig.pg,
        "DROP TRIGGER keep ON outbox; INSERT INTO outbox (id, xid, topic, key, type, payload) OVERRIDING SYSTEM "
        "VALUE SELECT id, xid, topic, key, type, payload FROM kept");
    rig_expect_published(&rig, 30);
}

Test(steering, idempotent_mode_killed_after_reading_repeats_only_what_readers_drop, .timeout = 300)
{
    crash_at("relay.read");
}

Test(steering, idempotent_mode_killed_after_producing_repeats_only_what_readers_drop, .timeout = 300)
{
    crash_at("relay.produced");
}

Test(steering, idempotent_mode_killed_after_delivery_repeats_only_what_readers_drop, .timeout = 300)
{
    crash_at("relay.committed");
}

Test(steering, a_paused_idempotent_relay_repeats_only_what_readers_drop_when_it_wakes, .timeout = 300)
{
    struct rig rig;
    struct rig_relay second;

    rig_open(&rig);
    rig.options.idempotent = true;
    rig_insert_many(&rig, 60000, 60000);
    pid_t first = rig_fork_relay(&rig, NULL);
    wait_number(&rig, "SELECT count(*) FROM outbox_relay WHERE position IS NOT NULL", 1);
    rig_kill(first, SIGSTOP);
    rig_start_relay(&rig, &second);
    rig_wait_state(&second, RELAY_ACTIVE, 5);
    rig_insert_many(&rig, 300, 10);
    rig_expect_published(&rig, 60);
    rig_kill(first, SIGCONT);
    sleep_ms(1000);
    rig_insert_many(&rig, 300, 10);
    rig_expect_published(&rig, 30);
    rig_kill(first, SIGTERM);
    rig_stop_relay(&second);
}

Test(steering, the_guarantee_can_be_changed_in_both_directions_without_loss_or_repeat)
{
    struct rig rig;

    rig_open(&rig);
    for (int turn = 0; turn < 4; turn++) {
        struct rig_relay relay;
        size_t count;

        rig.options.idempotent = turn % 2 == 1;
        rig_insert_many(&rig, 200, 20);
        rig_start_relay(&rig, &relay);
        xfree(rig_read(&rig, 200 * (size_t)(turn + 1), 20, &count));
        cr_assert_eq(count, 200 * (size_t)(turn + 1));
        rig_stop_relay(&relay);
    }
    rig.options.idempotent = false;
    rig_expect_published(&rig, 20);
}

/* ---- Pause ---- */

Test(steering, a_paused_source_stays_so_over_a_restart_until_it_is_resumed)
{
    struct rig rig;
    struct rig_relay relay;
    struct steering steering;
    struct error e = { 0 };

    rig_open(&rig);
    steering_open(&rig, &steering);
    rig_start_relay(&rig, &relay);
    rig_insert(rig.pg, topic, "k", 1);
    expect_order(&rig, "k:1", 1);
    cr_assert(control_pause(steering.pg, &steering.sql, steering.name, true, &e), "%s", e.message);
    rig_wait_state(&relay, RELAY_PAUSED, 5);
    rig_insert(rig.pg, topic, "k", 2);
    rig_stop_relay(&relay);
    rig_start_relay(&rig, &relay);
    rig_wait_state(&relay, RELAY_PAUSED, 10);
    expect_order(&rig, "k:1", 1);
    cr_assert(control_pause(steering.pg, &steering.sql, steering.name, false, &e), "%s", e.message);
    expect_order(&rig, "k:1 k:2", 2);
    rig_stop_relay(&relay);
    steering_close(&steering);
}

/* ---- Redrive ---- */

/* a:1, b:1 are parked, and a:2, a:3 behind; c:1 will be published. */
static void write_some(struct rig *rig)
{
    rig_sql(rig->pg, /* a fault in the writer: a name without a value */
        "INSERT INTO outbox (topic, key, type, payload, headers) VALUES ('%s', 'a', 't', 'a:1', '{odd}'), "
        "('%s', 'b', 't', 'b:1', '{odd}')",
        topic, topic);
    rig_insert(rig->pg, topic, "a", 2);
    rig_insert(rig->pg, topic, "c", 1);
    rig_insert(rig->pg, topic, "a", 3);
}

static void redrive(bool idempotent)
{
    struct rig rig;
    struct rig_relay relay;
    struct steering steering;
    struct error e = { 0 };
    size_t rows;

    rig_open(&rig);
    rig.options.idempotent = idempotent;
    steering_open(&rig, &steering);
    write_some(&rig);
    rig_start_relay(&rig, &relay);
    expect_order(&rig, "c:1", 1);
    wait_number(&rig, "SELECT count(*) FROM outbox_parked", 4);
    cr_assert(control_retry(steering.pg, &steering.sql, steering.name, topic, "a", &rows, &e), "%s", e.message);
    cr_expect_eq(rows, 3);
    rig_insert(rig.pg, topic, "a", 4); /* while it is under way */
    wait_number(&rig, "SELECT count(*) FROM outbox_parked", 1);
    rig_insert(rig.pg, topic, "a", 5);
    rig_insert(rig.pg, topic, "b", 2);
    wait_number(&rig, "SELECT count(*) FROM outbox_parked", 2);
    cr_assert(control_retry(steering.pg, &steering.sql, steering.name, NULL, NULL, &rows, &e), "%s", e.message);
    cr_expect_eq(rows, 2);
    wait_number(&rig, "SELECT count(*) FROM outbox_parked", 0);
    rig_insert(rig.pg, topic, "b", 3);
    rig_expect_published(&rig, 20); /* each once, of each key in order */
    rig_stop_relay(&relay);
    steering_close(&steering);
}

Test(steering, parked_rows_are_published_on_request_in_the_order_of_their_keys)
{
    redrive(false);
}

Test(steering, parked_rows_are_published_on_request_in_idempotent_mode)
{
    redrive(true);
}

Test(steering, a_parked_row_that_is_refused_again_stays_with_its_key_and_the_others_go)
{
    struct rig rig;
    struct rig_relay relay;
    struct steering steering;
    struct error e = { 0 };
    size_t rows, count;

    rig_open(&rig);
    rig.options.compression = "none";
    steering_open(&rig, &steering);
    rig_sql(rig.pg,
        "INSERT INTO outbox (topic, key, type, payload) VALUES ('%s', 'big', 't', convert_to(repeat('x', 3000000), "
        "'UTF8'))",
        topic);
    rig_insert(rig.pg, topic, "big", 2);
    write_some(&rig);
    rig_start_relay(&rig, &relay);
    wait_number(&rig, "SELECT count(*) FROM outbox_parked", 6);
    cr_assert(control_retry(steering.pg, &steering.sql, steering.name, NULL, NULL, &rows, &e), "%s", e.message);
    cr_expect_eq(rows, 6);
    wait_number(&rig, "SELECT count(*) FROM outbox_parked", 2);
    wait_number(&rig, "SELECT count(*) FROM outbox_parked WHERE redrive IS NOT NULL", 0);
    xfree(rig_read(&rig, 5, 10, &count));
    cr_expect_eq(count, 5);
    rig_expect_published(&rig, 10);
    rig_stop_relay(&relay);
    steering_close(&steering);
}

static void redrive_killed_at(const char *point)
{
    struct rig rig;
    struct steering steering;
    struct error e = { 0 };
    size_t rows;

    rig_open(&rig);
    steering_open(&rig, &steering);
    write_some(&rig);
    pid_t first = rig_fork_relay(&rig, NULL);
    wait_number(&rig, "SELECT count(*) FROM outbox_parked", 4);
    rig_kill(first, SIGTERM);
    cr_assert(control_retry(steering.pg, &steering.sql, steering.name, NULL, NULL, &rows, &e), "%s", e.message);
    steering_close(&steering);
    rig_wait_killed(rig_fork_relay(&rig, point), 30);
    pid_t pid = rig_fork_relay(&rig, NULL);
    wait_number(&rig, "SELECT count(*) FROM outbox_parked", 0);
    rig_expect_published(&rig, 20);
    rig_kill(pid, SIGTERM);
}

Test(steering, killed_after_producing_a_redrive_loses_and_repeats_nothing)
{
    redrive_killed_at("relay.produced");
}

Test(steering, killed_after_committing_a_redrive_loses_and_repeats_nothing)
{
    redrive_killed_at("relay.committed");
}

/* ---- Replay ---- */

static void replay(bool idempotent)
{
    struct rig rig;
    struct rig_relay relay;
    struct steering steering;
    struct error e = { 0 };
    size_t count;

    rig_open(&rig);
    rig.options.idempotent = idempotent;
    steering_open(&rig, &steering);
    rig_start_relay(&rig, &relay);
    for (int i = 1; i <= 5; i++)
        rig_insert(rig.pg, topic, "k", i);
    expect_order(&rig, "k:1 k:2 k:3 k:4 k:5", 5);
    cr_assert(control_replay(steering.pg, &steering.sql, steering.name, 4, NULL, &e), "%s", e.message);
    expect_order(&rig, "k:1 k:2 k:3 k:4 k:5 k:4 k:5", 7);
    rig_insert(rig.pg, topic, "k", 6);
    expect_order(&rig, "k:1 k:2 k:3 k:4 k:5 k:4 k:5 k:6", 8);
    rig_stop_relay(&relay);
    rig_start_relay(&rig, &relay); /* done is done */
    rig_sql(rig.pg, "UPDATE outbox SET created_at = '2020-01-01Z' WHERE id < 6");
    rig_insert(rig.pg, topic, "k", 7);
    expect_order(&rig, "k:1 k:2 k:3 k:4 k:5 k:4 k:5 k:6 k:7", 9);
    cr_assert(
        control_replay(steering.pg, &steering.sql, steering.name, 0, "2021-01-01T00:00:00Z", &e), "%s", e.message);
    expect_order(&rig, "k:1 k:2 k:3 k:4 k:5 k:4 k:5 k:6 k:7 k:6 k:7", 11);

    struct rig_event *events = rig_read(&rig, 11, 10, &count);
    cr_expect_str_eq(events[5].id, events[3].id, "a repeated event has the same ce_id …");
    cr_expect_not_null(strstr(events[5].headers, "ce_replay=1 "), "… and says that it is one: %s", events[5].headers);
    cr_expect_not_null(strstr(events[9].headers, "ce_replay=2 "), "%s", events[9].headers);
    cr_expect_null(strstr(events[7].headers, "ce_replay"), "%s", events[7].headers);
    xfree(events);
    rig_stop_relay(&relay);
    steering_close(&steering);
}

Test(steering, a_replay_repeats_rows_with_the_same_id_and_says_so)
{
    replay(false);
}

Test(steering, a_replay_in_idempotent_mode_passes_the_readers_filter)
{
    replay(true);
}
