#include "relay.h"

#include "lease.h"
#include "log.h"
#include "metrics.h"
#include "parking.h"
#include "rerun.h"
#include "telling.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    IDLE_WAIT_US = 100000,
    LEASE_RETRY_US = 250000,
    BACK_OFF_MIN_US = 100000,
    BACK_OFF_MAX_US = 30000000,
    SLEEP_STEP_US = 50000, /* how late a stop may be noticed */
    LOAD_TIMEOUT_MS = 30000,
    PUMP_EVERY_ROWS = 256,
    CLOSE_IN_ROWS = 1000,
    NAME_MAX_BYTES = 512,
    LABELS_MAX = 160,
    MEASURE_US = 1000000,
    STORE_EVERY_US = 1000000, /* idempotent mode: an idle source's position is stored after this */
};

struct relay {
    const struct relay_options *options;
    const char *source_name;
    struct position committed; /* the thread's: what Kafka has */
    int64_t back_off_us;
    struct telling telling;
    struct {
        struct metric *published, *parked, *commit_seconds, *up, *failures, *deleted;
    } metrics;
    pthread_mutex_t lock; /* of what follows */
    struct relay_status status;
    int64_t caught_up_us; /* now_us(): all that was committed before is published */
    int64_t measured_us;  /* monotonic: the rate was taken */
    uint64_t measured_rows;
};

/* What one turn at being active owns. */
struct session {
    struct lease *lease;
    struct publisher *publisher;
    struct source *source;
    struct parking *parking;
    struct rerun *rerun; /* NULL while nothing is asked for */
    struct publisher_options publisher_options;
    struct source_options source_options;
    struct pg *store; /* idempotent mode: where the position goes */
    struct pg_options store_options;
    struct control_sql control_sql;
    struct control done; /* requests that were seen to */
    char name[NAME_MAX_BYTES];
    bool *parked;           /* of the page: which rows are not to be published */
    size_t passed_rows;     /* published or parked since the last commit */
    int64_t page_limit;     /* 0: none; else closing in on a row that Kafka refuses */
    uint64_t refused_seq;   /* that row, or one after it */
    uint64_t deleted_rows;  /* as counted into the metric */
    struct position stored; /* in the database; of a time in idempotent mode */
    bool stored_found;
    int64_t stored_us, resumed_us; /* monotonic; now_us() */
};

static void session_release(struct session *session)
{
    publisher_free(session->publisher);
    source_free(session->source);
    parking_free(session->parking);
    rerun_free(session->rerun);
    pg_free(session->store);
    control_sql_release(&session->control_sql);
    xfree(session->parked);
    position_release(&session->stored);
    lease_free(session->lease); /* last: until here nobody else should begin */
}

const char *relay_state_name(enum relay_state state)
{
    static const char *const names[] = { "standby", "starting", "active", "paused", "backing off" };

    return names[state];
}

/* ---- What others see ---- */

static double read_lag_seconds(void *context)
{
    struct relay_status status;

    relay_get_status(context, &status);
    return status.lag_s;
}

/* Those of the status that are plain numbers. */
#define READ(member)                                                                                                   \
    static double read_##member(void *context)                                                                         \
    {                                                                                                                  \
        struct relay_status status;                                                                                    \
                                                                                                                       \
        relay_get_status(context, &status);                                                                            \
        return (double)status.member;                                                                                  \
    }
READ(waiting_rows)
READ(waiting_bytes)
READ(in_flight_rows)
READ(parked_rows)
READ(rows_per_second)
READ(retained_bytes)
#undef READ

static double read_paused(void *context)
{
    struct relay_status status;

    relay_get_status(context, &status);
    return status.state == RELAY_PAUSED;
}

static void relay_make_gauges(struct relay *relay, const char *labels)
{
    const struct {
        const char *name, *help;
        double (*read)(void *);
    } gauges[] = {
        { "outbox_relay_lag_seconds", "everything committed longer ago than this is published", read_lag_seconds },
        { "outbox_relay_lag_rows", "rows known to be waiting", read_waiting_rows },
        { "outbox_relay_lag_bytes", "payload known to be waiting, as stored", read_waiting_bytes },
        { "outbox_relay_in_flight_rows", "rows handed to Kafka and not committed", read_in_flight_rows },
        { "outbox_relay_parked_rows", "rows that Kafka refuses, and those behind them, in the table",
            read_parked_rows },
        { "outbox_relay_rows_per_second", "rows published, lately", read_rows_per_second },
        { "outbox_relay_paused", "1 while the source is paused", read_paused },
    };

    for (size_t i = 0; i < ARRAY_LEN(gauges); i++)
        metric_gauge_function(gauges[i].name, labels, gauges[i].help, gauges[i].read, relay);
}

struct relay *relay_new(const struct relay_options *options)
{
    struct relay *relay = xcalloc(1, sizeof *relay);
    char labels[LABELS_MAX];

    relay->options = options;
    relay->source_name = options->source;
    relay->back_off_us = BACK_OFF_MIN_US;
    relay->telling = (struct telling)TELLING_INIT(options->source);
    relay->caught_up_us = now_us();
    position_init(&relay->committed);
    pthread_mutex_init(&relay->lock, NULL);

    snprintf(labels, sizeof labels, "source=\"%s\"", options->source);
    relay->metrics.published = metric_counter("outbox_relay_published_total", labels, "rows published");
    relay->metrics.parked = metric_counter("outbox_relay_parked_total", labels, "rows parked: Kafka refuses them");
    relay->metrics.failures =
        metric_counter("outbox_relay_failures_total", labels, "times the source had to start over");
    relay->metrics.deleted = metric_counter("outbox_relay_deleted_total", labels, "published rows cleaned up");
    relay->metrics.commit_seconds =
        metric_histogram("outbox_relay_commit_duration_seconds", labels, "flush and commit of a Kafka transaction");
    relay->metrics.up = metric_gauge("outbox_relay_up", labels, "1 while this process publishes the source");
    if (options->mode == SOURCE_WAL)
        metric_gauge_function("outbox_relay_wal_retained_bytes", labels, "log that the slot keeps on the server's disk",
            read_retained_bytes, relay);
    relay_make_gauges(relay, labels);
    return relay;
}

void relay_free(struct relay *relay)
{
    if (!relay)
        return;
    position_release(&relay->committed);
    pthread_mutex_destroy(&relay->lock);
    xfree(relay);
}

void relay_get_status(struct relay *relay, struct relay_status *ret_status)
{
    pthread_mutex_lock(&relay->lock);
    *ret_status = relay->status;
    ret_status->lag_s = relay->status.state == RELAY_STANDBY ? 0 : (double)(now_us() - relay->caught_up_us) / 1000000;
    pthread_mutex_unlock(&relay->lock);
}

static void relay_enter(struct relay *relay, enum relay_state state, const struct error *why)
{
    pthread_mutex_lock(&relay->lock);
    if (relay->status.state != state && relay->status.state == RELAY_STANDBY)
        relay->caught_up_us = now_us();
    relay->status.state = state;
    snprintf(relay->status.trouble, sizeof relay->status.trouble, "%s", why ? why->message : "");
    pthread_mutex_unlock(&relay->lock);
    metric_set(relay->metrics.up, state == RELAY_ACTIVE);
    telling_state(&relay->telling, state);
}

/* The rate over the last second or more. */
static void relay_measure(struct relay *relay)
{
    int64_t passed_us = monotonic_us() - relay->measured_us;

    if (passed_us < MEASURE_US)
        return;
    relay->status.rows_per_second =
        (double)(relay->status.published_rows - relay->measured_rows) * 1000000 / (double)passed_us;
    relay->measured_us += passed_us;
    relay->measured_rows = relay->status.published_rows;
}

static void relay_report(struct relay *relay, struct session *session, bool all_published)
{
    uint64_t deleted = lease_deleted_rows(session->lease), parked = lease_parked_rows(session->lease);
    struct source_waiting waiting;

    metric_add(relay->metrics.deleted, deleted - session->deleted_rows);
    session->deleted_rows = deleted;
    source_get_waiting(session->source, &waiting);
    pthread_mutex_lock(&relay->lock);
    relay->status.in_flight_rows = publisher_count(session->publisher);
    relay->status.waiting_rows = waiting.rows + relay->status.in_flight_rows;
    relay->status.waiting_bytes = waiting.bytes;
    relay->status.parked_rows = parked;
    relay_measure(relay);
    relay->status.deleted_rows = deleted;
    relay->status.retained_bytes = lease_retained_bytes(session->lease);
    if (all_published || waiting.caught_up_us < relay->caught_up_us)
        relay->caught_up_us = waiting.caught_up_us;
    pthread_mutex_unlock(&relay->lock);
}

/* ---- Waiting ---- */

static bool relay_stopping(const struct relay *relay)
{
    return relay->options->stopping(relay->options->context);
}

static void relay_sleep(const struct relay *relay, int64_t sleep_us)
{
    int64_t until_us = monotonic_us() + sleep_us, left_us;

    while (!relay_stopping(relay) && (left_us = until_us - monotonic_us()) > 0)
        nanosleep(&(struct timespec){ .tv_nsec = (left_us < SLEEP_STEP_US ? left_us : SLEEP_STEP_US) * 1000 }, NULL);
}

/* Doubles each time, with jitter, until something has been published again. */
static void relay_back_off(struct relay *relay)
{
    int64_t sleep_us = relay->back_off_us / 2 + random() % (relay->back_off_us / 2 + 1);

    relay->back_off_us = relay->back_off_us * 2 < BACK_OFF_MAX_US ? relay->back_off_us * 2 : BACK_OFF_MAX_US;
    relay_sleep(relay, sleep_us);
}

/* ---- Beginning ---- */

static bool relay_take_lease(struct relay *relay, struct session *session, struct error *e)
{
    const struct relay_options *options = relay->options;
    const char *prefix = options->kafka->topic_prefix ? options->kafka->topic_prefix : "";
    const struct lease_options lease = { .dsn = options->dsn,
        .name = session->name,
        .setting = options->setting,
        .mapping = options->mapping,
        .slot = options->mode == SOURCE_WAL ? options->slot : NULL,
        .stale_us = options->lease_stale_us,
        .cleanup = options->cleanup,
        .cleanup_delay_us = options->cleanup_delay_us };
    bool held = false, taken_over;

    snprintf(session->name, sizeof session->name, "%s%s", prefix, options->source);
    if (!lease_open(&lease, &session->lease, e)) {
        const struct error why = *e;

        return error_set(e, why.kind, "%s_POSTGRES_URL: %.150s", options->setting, why.message);
    }
    while (!relay_stopping(relay)) {
        if (!lease_try(session->lease, &held, &taken_over, e))
            return false;
        if (held)
            return lease_claim(session->lease, relay->source_name, &session->stored_found, &session->stored, e) &&
                   lease_keep(session->lease, e);
        relay_enter(relay, RELAY_STANDBY, NULL);
        if (taken_over)
            telling_note(&relay->telling, true, "the relay that held the lease is silent; its session was ended");
        relay_sleep(relay, taken_over ? SLEEP_STEP_US : LEASE_RETRY_US);
    }
    return true;
}

/* Kafka has a position, or the database has one of a time in idempotent mode, or both: the one that is further. On a
 * tie the database's: it may have begun a round. */
static bool relay_load_position(struct relay *relay, struct session *session, struct error *e)
{
    struct position stored;
    bool found;

    if (!publisher_load_position(session->publisher, LOAD_TIMEOUT_MS, &found, &stored, e))
        return false;
    position_release(&relay->committed);
    if (found)
        relay->committed = stored;
    else
        position_init(&relay->committed);
    if (session->stored_found && session->stored.published_rows >= relay->committed.published_rows) {
        position_copy(&session->stored, &relay->committed);
        found = true;
    }
    if (relay->committed.commit_lsn > 0)
        telling_note(&relay->telling, false,
            "stored position: %" PRIX64 "/%" PRIX64 " and %" PRIu64 " rows, %" PRIu64 " rows published so far",
            relay->committed.commit_lsn >> 32, relay->committed.commit_lsn & UINT32_MAX, relay->committed.commit_index,
            relay->committed.published_rows);
    else
        telling_note(&relay->telling, false,
            "%s position: before %.40s, now %.40s, last id %" PRIu64 ", %" PRIu64 " rows published so far",
            found ? "stored" : "no stored", relay->committed.before.text, relay->committed.now.text,
            relay->committed.last_id, relay->committed.published_rows);
    return true;
}

static bool relay_open_publisher(struct relay *relay, struct session *session, struct error *e)
{
    const struct relay_options *options = relay->options;

    session->publisher_options = (struct publisher_options){ .kafka = options->kafka,
        .source = options->source,
        .mapping = options->mapping,
        .compression = options->compression,
        .queue_kbytes_max = options->queue_kbytes_max,
        .transaction_timeout_ms = options->transaction_timeout_ms,
        .pause_us = options->pause_us };
    if (!publisher_open(&session->publisher_options, &session->publisher, e) || !relay_load_position(relay, session, e))
        return false;
    if (!options->idempotent)
        return true;
    session->store_options = (struct pg_options){ .dsn = options->dsn, .application_name = "outbox-relay position" };
    control_sql_init(&session->control_sql, options->mapping);
    return publisher_leave_transactions(session->publisher, e) && pg_open(&session->store_options, &session->store, e);
}

static bool relay_resume(struct relay *relay, struct session *session, struct error *e)
{
    session->resumed_us = now_us();
    return source_resume(session->source, &relay->committed, e);
}

static bool relay_open_source(struct relay *relay, struct session *session, struct error *e)
{
    const struct relay_options *options = relay->options;

    session->source_options = (struct source_options){ .mode = options->mode,
        .name = options->source,
        .setting = options->setting,
        .dsn = options->dsn,
        .mapping = options->mapping,
        .application_name = "outbox-relay",
        .page_rows = options->page_rows,
        .page_bytes = options->page_bytes,
        .poll_max_us = options->poll_max_us,
        .stored_ahead = options->idempotent,
        .slot = options->slot,
        .publication = options->publication,
        .wal_catch_up_bytes = options->wal_catch_up_bytes,
        .wal_peek_changes = options->wal_peek_changes,
        .wal_spill_folder = options->wal_spill_folder };
    if (!source_open(&session->source_options, &session->source, e) ||
        !parking_open(options->dsn, options->mapping, &session->parking, e))
        return false;
    publisher_set_content_type(session->publisher, source_content_type(session->source));
    session->parked = xcalloc((size_t)options->page_rows, sizeof *session->parked);
    if (!source_identify(session->source, &relay->committed, e)) {
        if (e->kind != ERROR_FATAL || !options->reset)
            return false;
        log_warn("source %s: %s; the position is reset, as OUTBOX_RELAY_RESET asks", relay->source_name, e->message);
        error_clear(e);
        position_release(&relay->committed);
        position_init(&relay->committed);
        if (!source_identify(session->source, &relay->committed, e))
            return false;
    }
    return relay_resume(relay, session, e);
}

/* ---- Publishing ---- */

/* Idempotent mode: the position goes to the database, unless a younger relay has taken over. */
static bool relay_store(struct relay *relay, struct session *session, const struct position *position, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *result = NULL;
    CLEANUP(xfree) char *buffer = NULL;
    void *data;
    size_t len;

    position_encode(position, relay->source_name, now_us(), &data, &len);
    buffer = data;
    pg_arg_text(session->store, session->name);
    pg_arg_int64(session->store, lease_epoch(session->lease));
    pg_arg_bytes(session->store, (struct bytes){ data, len });
    if (!pg_query(session->store, &session->control_sql.store, &result, e))
        return false;
    if (pg_affected(result) != 1)
        return error_set(e, ERROR_FATAL, "another relay has taken over");
    if (!session->stored.before.text)
        position_init(&session->stored);
    position_copy(position, &session->stored);
    session->stored_us = monotonic_us();
    lease_published(session->lease, &position->before);
    return source_committed(session->source, position, e);
}

/* Idempotent mode: before the first row of a round is sent it is stored which rows the round has, so that after a crash
 * the same rows come again under the same numbers. What the round saw is on disk with it: source_options.stored_ahead.
 */
static bool relay_store_ahead(struct relay *relay, struct session *session, struct error *e)
{
    const struct position *page = source_page_position(session->source);

    if (!session->store || (session->stored.now.text && snapshot_equal(&session->stored.now, &page->now) &&
                               snapshot_equal(&session->stored.before, &page->before)))
        return true;
    return relay_store(relay, session, page, e);
}

/* What is committed may be told to clean-up and to the source (its slot may move): in idempotent mode only what a
 * restart will not read again, when it is stored. */
static bool relay_committed(
    struct relay *relay, struct session *session, const struct position *position, bool store_now, struct error *e)
{
    position_copy(position, &relay->committed);
    if (session->store)
        return !(store_now || position_in_round(position)) || relay_store(relay, session, position, e);
    lease_published(session->lease, &relay->committed.before);
    return source_committed(session->source, &relay->committed, e);
}

static bool relay_commit(
    struct relay *relay, struct session *session, const struct position *position, bool store_now, struct error *e)
{
    size_t rows = publisher_count(session->publisher);
    int64_t begin_us = monotonic_us();

    crash_point("relay.produced");
    if (!publisher_commit(session->publisher, position, e))
        return false;
    crash_point("relay.committed");
    if (!relay_committed(relay, session, position, store_now, e))
        return false;
    relay->back_off_us = BACK_OFF_MIN_US;
    telling_success(&relay->telling);
    metric_observe(relay->metrics.commit_seconds, (double)(monotonic_us() - begin_us) / 1000000);
    metric_add(relay->metrics.published, rows);
    pthread_mutex_lock(&relay->lock);
    relay->status.published_rows += rows;
    pthread_mutex_unlock(&relay->lock);
    return true;
}

static bool relay_publish_page(
    struct relay *relay, struct session *session, const struct source_page *page, struct error *e)
{
    size_t parked;

    crash_point("relay.read");
    if (!relay_store_ahead(relay, session, e))
        return false;
    if (!parking_filter(session->parking, page, session->parked, &parked, e))
        return false;
    metric_add(relay->metrics.parked, parked);
    if (parked > 0)
        log_info("source %s: %zu rows parked, flawed or behind parked ones", relay->source_name, parked);
    for (size_t i = 0; i < page->count; i++) {
        if (!session->parked[i] && !publisher_add(session->publisher, &page->rows[i], e))
            return false;
        if (i % PUMP_EVERY_ROWS == 0)
            source_pump(session->source);
    }
    session->passed_rows += page->count;
    return true;
}

/* Has the row that was refused been passed? Then pages may be as large as usual again. */
static bool relay_stop_closing_in(struct relay *relay, struct session *session, struct error *e)
{
    if (session->page_limit == 0 || relay->committed.published_rows < session->refused_seq)
        return true;
    session->page_limit = 0;
    source_limit(session->source, 0);
    return relay_resume(relay, session, e);
}

/* A round that turned out to have no more rows than were committed: its end is known without another commit. */
static bool relay_round_over(struct relay *relay, struct session *session, struct error *e)
{
    if (!position_in_round(&relay->committed))
        return true;
    position_copy(source_position(session->source), &relay->committed);
    if (session->store)
        return relay_store(relay, session, &relay->committed, e);
    lease_published(session->lease, &relay->committed.before);
    return true;
}

/* One page, and a commit when the round is done, the transaction old, or nothing came in its time. */
static bool relay_step(struct relay *relay, struct session *session, struct error *e)
{
    int64_t left_us = relay->options->transaction_us - publisher_age_us(session->publisher);
    struct source_page page = { 0 };

    if (lease_lost(session->lease, e))
        return false;
    if (session->passed_rows == 0)
        left_us = IDLE_WAIT_US;
    if (!source_next(session->source, left_us > 0 ? left_us : 0, &page, e))
        return false;
    if (page.count > 0 && !relay_publish_page(relay, session, &page, e))
        return false;
    if (page.store ||
        (session->passed_rows > 0 && (page.round_done || page.count == 0 || session->page_limit > 0 ||
                                         publisher_age_us(session->publisher) >= relay->options->transaction_us))) {
        if (!relay_commit(relay, session, source_position(session->source), page.store, e) ||
            !relay_stop_closing_in(relay, session, e))
            return false;
        session->passed_rows = 0;
    }
    relay_report(relay, session, session->passed_rows == 0);
    return !page.round_done || session->passed_rows > 0 || relay_round_over(relay, session, e);
}

/* Kafka refused a row of the transaction, which is aborted. Others of its batch may be refused with it, so the culprit
 * is known only when it was alone: the pages are made smaller until it is, and what comes before it is committed on the
 * way. */
static bool relay_refused(struct relay *relay, struct session *session, struct error *e)
{
    const struct publisher_refusal refusal = *publisher_refusal(session->publisher);
    const bool alone = session->page_limit == 1 || refusal.whole_topic;

    if (!relay->options->park)
        return false;
    session->refused_seq = source_position(session->source)->published_rows;
    if (alone) {
        log_warn("source %s: row %" PRIu64 " is parked: %s", relay->source_name, refusal.row_id, refusal.reason);
        parking_refuse(session->parking, refusal.row_id, refusal.whole_topic ? refusal.topic : NULL, refusal.reason);
    } else {
        session->page_limit = session->page_limit == 0 ? CLOSE_IN_ROWS : (session->page_limit + 9) / 10;
    }
    source_limit(session->source, session->page_limit);
    return relay_resume(relay, session, e);
}

/* After a step that failed: may the session go on from the last committed position? */
static bool relay_recover(struct relay *relay, struct session *session, struct error *e)
{
    struct error again = { 0 };
    bool refused = e->kind == ERROR_REFUSED;

    if (lease_lost(session->lease, &again) || !publisher_usable(session->publisher))
        return false;
    publisher_abort(session->publisher);
    session->passed_rows = 0;
    if (!publisher_usable(session->publisher))
        return false;
    if (refused)
        return relay_refused(relay, session, e);
    if (e->kind != ERROR_TRANSIENT || !relay_resume(relay, session, &again))
        return false;
    telling_setback(&relay->telling, "a Kafka transaction was aborted and is repeated", e);
    relay_back_off(relay);
    return true;
}

/* ---- Requests ---- */

/* Is everything that was read since the last time something went wrong committed? Only then what is parked is known to
 * lie behind the position, and not to be read again. */
static bool relay_settled(const struct relay *relay, const struct session *session)
{
    struct source_waiting waiting;

    source_get_waiting(session->source, &waiting);
    return session->passed_rows == 0 && session->page_limit == 0 && !position_in_round(&relay->committed) &&
           waiting.caught_up_us > session->resumed_us;
}

/* Publishes a page of rows out of turn; `next` is then committed. */
static bool relay_publish_rerun(struct relay *relay, struct session *session, const struct source_page *page,
    const struct position *next, struct error *e)
{
    for (size_t i = 0; i < page->count; i++)
        if (!publisher_add(session->publisher, &page->rows[i], e))
            return false;
    return relay_commit(relay, session, next, true, e);
}

static bool relay_redrive(struct relay *relay, struct session *session, struct error *e)
{
    int64_t rows_max = relay->options->page_rows;
    struct position next;
    bool ok = true;

    position_init(&next);
    while (ok && !relay_stopping(relay)) {
        struct source_page page;

        ok = rerun_parked(session->rerun, &relay->committed, rows_max, &page, &next, e);
        if (!ok || page.count == 0)
            break;
        if (relay_publish_rerun(relay, session, &page, &next, e)) {
            log_info("source %s: %zu parked rows are published", relay->source_name, page.count);
            continue;
        }
        publisher_abort(session->publisher);
        ok = e->kind == ERROR_REFUSED && publisher_usable(session->publisher);
        const struct publisher_refusal *refusal = publisher_refusal(session->publisher);
        if (ok && (rows_max == 1 || refusal->whole_topic)) {
            log_warn(
                "source %s: row %" PRIu64 " stays parked: %s", relay->source_name, refusal->row_id, refusal->reason);
            ok = rerun_refused(session->rerun, refusal->row_id, refusal->reason, refusal->whole_topic, e);
        }
        rows_max = 1; /* one by one: who is refused is then known */
        if (ok)
            error_clear(e);
    }
    position_release(&next);
    return ok && parking_load(session->parking, e);
}

static bool relay_replay(struct relay *relay, struct session *session, const struct control *control, struct error *e)
{
    struct source_page page = { .count = 1 };
    struct position next;
    bool ok = true;

    log_info("source %s: rows that were published are published again, request %" PRId64, relay->source_name,
        control->replay);
    position_init(&next);
    while (ok && page.count > 0 && !relay_stopping(relay))
        ok = rerun_published(session->rerun, &relay->committed, control, &page, &next, e) &&
             relay_publish_rerun(relay, session, &page, &next, e);
    position_release(&next);
    return ok;
}

static bool relay_replaying(const struct relay *relay, const struct control *control)
{
    return relay->committed.replay == (uint64_t)control->replay && relay->committed.replay_id != UINT64_MAX &&
           control->replay > 0;
}

/* Idempotent mode: nothing out of turn before the position is stored, and a replay that was begun is gone on with
 * first: the same rows under the same numbers. */
static bool relay_rerun(struct relay *relay, struct session *session, const struct control *control, struct error *e)
{
    const bool begun = relay_replaying(relay, control);

    if (!session->rerun && !rerun_open(&session->source_options, &session->rerun, e))
        return false;
    if (session->store && !relay_store(relay, session, &relay->committed, e))
        return false;
    if (begun && !relay_replay(relay, session, control, e))
        return false;
    if (!relay_redrive(relay, session, e))
        return false;
    if (!begun && (uint64_t)control->replay > relay->committed.replay && session->source_options.mode == SOURCE_POLL &&
        !relay_replay(relay, session, control, e))
        return false;
    session->done = *control;
    rerun_free(TAKE(session->rerun));
    return relay_resume(relay, session, e);
}

static bool relay_pause(struct relay *relay, struct session *session, struct error *e)
{
    struct control control = { .paused = true };

    relay_enter(relay, RELAY_PAUSED, NULL);
    while (control.paused && !relay_stopping(relay)) {
        relay_sleep(relay, IDLE_WAIT_US);
        if (lease_lost(session->lease, e))
            return false;
        lease_control(session->lease, &control);
        relay_report(relay, session, false);
    }
    relay_enter(relay, RELAY_ACTIVE, NULL);
    return true;
}

/* What was asked of the relay since it last looked, once it stands between two rounds. */
static bool relay_obey(struct relay *relay, struct session *session, struct error *e)
{
    struct control control;

    lease_control(session->lease, &control);
    if (control.paused && session->passed_rows == 0)
        return relay_pause(relay, session, e);
    if (control.redrive == session->done.redrive && control.replay == session->done.replay)
        return true;
    return !relay_settled(relay, session) || relay_rerun(relay, session, &control, e);
}

/* Idempotent mode: a source that has become quiet is stored as it stands. */
static bool relay_store_idle(struct relay *relay, struct session *session, struct error *e)
{
    if (!session->store || session->passed_rows > 0 || monotonic_us() - session->stored_us < STORE_EVERY_US ||
        session->stored.published_rows == relay->committed.published_rows)
        return true;
    return relay_store(relay, session, &relay->committed, e);
}

static bool relay_finish(struct relay *relay, struct session *session, struct error *e)
{
    if (session->passed_rows > 0 && !relay_commit(relay, session, source_position(session->source), false, e))
        return false;
    return !session->store || relay_store(relay, session, &relay->committed, e);
}

static bool relay_session(struct relay *relay, struct session *session, struct error *e)
{
    if (!relay_take_lease(relay, session, e) || relay_stopping(relay))
        return e->kind == ERROR_NONE;
    relay_enter(relay, RELAY_STARTING, NULL);
    if (!relay_open_publisher(relay, session, e) || !relay_open_source(relay, session, e))
        return false;
    session->done.redrive = session->done.replay = -1; /* not known: what was asked for before may not be finished */
    relay_enter(relay, RELAY_ACTIVE, NULL);
    while (!relay_stopping(relay)) {
        bool ok = relay_obey(relay, session, e) &&
                  (relay_stopping(relay) || (relay_step(relay, session, e) && relay_store_idle(relay, session, e)));

        if (!ok && !relay_recover(relay, session, e))
            return false;
        if (ok && relay_settled(relay, session))
            telling_success(&relay->telling);
        error_clear(e);
    }
    return relay_finish(relay, session, e);
}

/* A session that failed: its lease knows what the slot keeps meanwhile. */
static void relay_note_slot(struct relay *relay, const struct session *session)
{
    if (!session->lease)
        return;
    pthread_mutex_lock(&relay->lock);
    relay->status.retained_bytes = lease_retained_bytes(session->lease);
    pthread_mutex_unlock(&relay->lock);
}

void relay_run(struct relay *relay)
{
    while (!relay_stopping(relay)) {
        struct session session = { 0 };
        struct error e = { 0 };
        bool ok = relay_session(relay, &session, &e), fenced = session.publisher && publisher_fenced(session.publisher);

        relay_note_slot(relay, &session);
        session_release(&session);
        if (ok)
            continue;
        if (fenced)
            telling_note(
                &relay->telling, true, "fenced: another relay publishes it, or a transaction outlived its time-out");
        telling_failure(&relay->telling, &e);
        metric_add(relay->metrics.failures, 1);
        relay_enter(relay, RELAY_BACKING_OFF, &e);
        relay_back_off(relay);
    }
    relay_enter(relay, RELAY_STANDBY, NULL);
}
