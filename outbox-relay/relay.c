#include "relay.h"

#include "lease.h"
#include "log.h"
#include "metrics.h"
#include "parking.h"

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
};

struct relay {
    const struct relay_options *options;
    const char *source_name;
    struct position committed; /* the thread's: what Kafka has */
    int64_t back_off_us;
    struct {
        struct metric *published, *parked, *commit_seconds, *up, *failures, *deleted;
    } metrics;
    pthread_mutex_t lock; /* of what follows */
    struct relay_status status;
    int64_t caught_up_us; /* now_us(): all that was committed before is published */
};

/* What one turn at being active owns. */
struct session {
    struct lease *lease;
    struct publisher *publisher;
    struct source *source;
    struct parking *parking;
    bool *parked;           /* of the page: which rows are not to be published */
    size_t passed_rows;     /* published or parked since the last commit */
    int64_t page_limit;     /* 0: none; else closing in on a row that Kafka refuses */
    uint64_t refused_id;    /* that row, or one before it */
    uint64_t deleted_rows;  /* as counted into the metric */
    struct position stored; /* in the database: of a time in idempotent mode */
    bool stored_found;
};

static void session_release(struct session *session)
{
    publisher_free(session->publisher);
    source_free(session->source);
    parking_free(session->parking);
    xfree(session->parked);
    position_release(&session->stored);
    lease_free(session->lease); /* last: until here nobody else should begin */
}

const char *relay_state_name(enum relay_state state)
{
    static const char *const names[] = { "standby", "starting", "active", "backing off" };

    return names[state];
}

/* ---- What others see ---- */

static double read_lag_seconds(void *context)
{
    struct relay_status status;

    relay_get_status(context, &status);
    return status.lag_s;
}

static double read_lag_rows(void *context)
{
    struct relay_status status;

    relay_get_status(context, &status);
    return (double)status.waiting_rows;
}

struct relay *relay_new(const struct relay_options *options)
{
    struct relay *relay = xcalloc(1, sizeof *relay);
    char labels[LABELS_MAX];

    relay->options = options;
    relay->source_name = options->source;
    relay->back_off_us = BACK_OFF_MIN_US;
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
    metric_gauge_function("outbox_relay_lag_seconds", labels, "everything committed longer ago than this is published",
        read_lag_seconds, relay);
    metric_gauge_function("outbox_relay_lag_rows", labels, "rows known to be waiting", read_lag_rows, relay);
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
    bool changed;

    pthread_mutex_lock(&relay->lock);
    changed = relay->status.state != state;
    if (changed && relay->status.state == RELAY_STANDBY)
        relay->caught_up_us = now_us();
    relay->status.state = state;
    snprintf(relay->status.trouble, sizeof relay->status.trouble, "%s", why ? why->message : "");
    pthread_mutex_unlock(&relay->lock);
    metric_set(relay->metrics.up, state == RELAY_ACTIVE);
    if (changed)
        log_info("source %s: %s", relay->source_name, relay_state_name(state));
}

static void relay_report(struct relay *relay, struct session *session, bool all_published)
{
    uint64_t deleted = lease_deleted_rows(session->lease);
    struct source_waiting waiting;

    metric_add(relay->metrics.deleted, deleted - session->deleted_rows);
    session->deleted_rows = deleted;
    source_get_waiting(session->source, &waiting);
    pthread_mutex_lock(&relay->lock);
    relay->status.waiting_rows = waiting.rows + publisher_count(session->publisher);
    relay->status.deleted_rows = deleted;
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
    char name[NAME_MAX_BYTES];
    const struct lease_options lease = { .dsn = options->dsn,
        .name = name,
        .setting = options->setting,
        .mapping = options->mapping,
        .stale_us = options->lease_stale_us,
        .cleanup = options->cleanup,
        .cleanup_delay_us = options->cleanup_delay_us };
    bool held = false, taken_over;

    snprintf(name, sizeof name, "%s%s", prefix, options->source);
    if (!lease_open(&lease, &session->lease, e))
        return false;
    while (!relay_stopping(relay)) {
        if (!lease_try(session->lease, &held, &taken_over, e))
            return false;
        if (held)
            return lease_claim(session->lease, relay->source_name, &session->stored_found, &session->stored, e) &&
                   lease_keep(session->lease, e);
        relay_enter(relay, RELAY_STANDBY, NULL);
        if (taken_over)
            log_warn("source %s: the relay that held the lease is silent; its session was ended", relay->source_name);
        relay_sleep(relay, taken_over ? SLEEP_STEP_US : LEASE_RETRY_US);
    }
    return true;
}

static bool relay_open_publisher(struct relay *relay, struct session *session, struct error *e)
{
    const struct relay_options *options = relay->options;
    const struct publisher_options publisher = { .kafka = options->kafka,
        .source = options->source,
        .mapping = options->mapping,
        .compression = options->compression,
        .queue_kbytes_max = options->queue_kbytes_max,
        .transaction_timeout_ms = options->transaction_timeout_ms,
        .pause_us = options->pause_us };
    struct position stored;
    bool found;

    if (!publisher_open(&publisher, &session->publisher, e) ||
        !publisher_load_position(session->publisher, LOAD_TIMEOUT_MS, &found, &stored, e))
        return false;
    position_release(&relay->committed);
    if (found)
        relay->committed = stored;
    else
        position_init(&relay->committed);
    log_info("source %s: %s position: before %.40s, now %.40s, last id %" PRIu64 ", %" PRIu64 " rows published so far",
        relay->source_name, found ? "stored" : "no stored", relay->committed.before.text, relay->committed.now.text,
        relay->committed.last_id, relay->committed.published_rows);
    return true;
}

static bool relay_open_source(struct relay *relay, struct session *session, struct error *e)
{
    const struct relay_options *options = relay->options;
    const struct source_options source = { .mode = SOURCE_POLL,
        .name = options->source,
        .setting = options->setting,
        .dsn = options->dsn,
        .mapping = options->mapping,
        .application_name = "outbox-relay",
        .page_rows = options->page_rows,
        .page_bytes = options->page_bytes,
        .poll_max_us = options->poll_max_us };

    if (!source_open(&source, &session->source, e) ||
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
    return source_resume(session->source, &relay->committed, e);
}

/* ---- Publishing ---- */

static bool relay_commit(struct relay *relay, struct session *session, struct error *e)
{
    size_t rows = publisher_count(session->publisher);
    const struct position *position = source_position(session->source);
    int64_t begin_us = monotonic_us();

    crash_point("relay.produced");
    if (!publisher_commit(session->publisher, position, e))
        return false;
    crash_point("relay.committed");
    position_copy(position, &relay->committed);
    lease_published(session->lease, &relay->committed.before);
    if (!source_committed(session->source, &relay->committed, e))
        return false;
    relay->back_off_us = BACK_OFF_MIN_US;
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
    if (session->page_limit == 0 ||
        (position_in_round(&relay->committed) && relay->committed.last_id < session->refused_id))
        return true;
    session->page_limit = 0;
    source_limit(session->source, 0);
    return source_resume(session->source, &relay->committed, e);
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
    if (session->passed_rows > 0 && (page.round_done || page.count == 0 || session->page_limit > 0 ||
                                        publisher_age_us(session->publisher) >= relay->options->transaction_us)) {
        if (!relay_commit(relay, session, e) || !relay_stop_closing_in(relay, session, e))
            return false;
        session->passed_rows = 0;
    }
    relay_report(relay, session, session->passed_rows == 0);
    return true;
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
    session->refused_id = refusal.row_id;
    if (alone) {
        log_warn("source %s: row %" PRIu64 " is parked: %s", relay->source_name, refusal.row_id, refusal.reason);
        parking_refuse(session->parking, refusal.row_id, refusal.whole_topic ? refusal.topic : NULL, refusal.reason);
    } else {
        session->page_limit = session->page_limit == 0 ? CLOSE_IN_ROWS : (session->page_limit + 9) / 10;
    }
    source_limit(session->source, session->page_limit);
    return source_resume(session->source, &relay->committed, e);
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
    if (e->kind != ERROR_TRANSIENT || !source_resume(session->source, &relay->committed, &again))
        return false;
    log_warn("source %s: a Kafka transaction was aborted and is repeated: %s", relay->source_name, e->message);
    relay_back_off(relay);
    return true;
}

static bool relay_session(struct relay *relay, struct session *session, struct error *e)
{
    if (!relay_take_lease(relay, session, e) || relay_stopping(relay))
        return e->kind == ERROR_NONE;
    relay_enter(relay, RELAY_STARTING, NULL);
    if (!relay_open_publisher(relay, session, e) || !relay_open_source(relay, session, e))
        return false;
    relay_enter(relay, RELAY_ACTIVE, NULL);
    while (!relay_stopping(relay)) {
        if (!relay_step(relay, session, e) && !relay_recover(relay, session, e))
            return false;
        error_clear(e);
    }
    return session->passed_rows == 0 || relay_commit(relay, session, e);
}

void relay_run(struct relay *relay)
{
    while (!relay_stopping(relay)) {
        struct session session = { 0 };
        struct error e = { 0 };
        bool ok = relay_session(relay, &session, &e), fenced = session.publisher && publisher_fenced(session.publisher);

        session_release(&session);
        if (ok)
            continue;
        if (fenced)
            log_warn("source %s: fenced: another relay publishes it, or a transaction outlived its time-out",
                relay->source_name);
        log_error(relay->source_name, &e);
        metric_add(relay->metrics.failures, 1);
        relay_enter(relay, RELAY_BACKING_OFF, &e);
        relay_back_off(relay);
    }
    relay_enter(relay, RELAY_STANDBY, NULL);
}
