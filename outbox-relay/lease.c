#include "lease.h"

#include "cleanup.h"
#include "log.h"
#include "relay_sql.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

enum {
    LEASE_CLASS = 0x6f726c79, /* "orly": our advisory locks among others' */
    LEASE_BEATS = 4,          /* signs of life in stale_us */
    STATEMENT_TIMEOUT_MS = 10000,
    CLEANUP_BACK_OFF_S = 10,
    COUNT_EVERY_US = 2000000, /* parked rows, kept log */
};

struct lease {
    struct pg *pg;
    char *name;
    const char *setting, *slot;
    int64_t epoch;
    struct control_sql control_sql;
    struct pg_statement cleanup_statement;
    struct pg_options pg_options;
    int32_t key;
    int backend_pid; /* of the session that holds the lock: another one does not */
    int64_t stale_us;
    bool cleanup_enabled, keeping;
    struct cleanup cleanup;   /* the thread's */
    int64_t cleanup_again_us; /* monotonic: not before, after an error */
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    bool stopping, lost;
    struct error lost_why;
    struct snapshot published; /* text NULL: nothing new */
    uint64_t deleted_rows, parked_rows, retained_bytes;
    struct control control;
};

/* FNV-1a */
static int32_t lease_key(const char *name)
{
    uint32_t hash = 2166136261u;

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    return (int32_t)hash;
}

bool lease_open(const struct lease_options *options, struct lease **ret_lease, struct error *e)
{
    CLEANUP(lease_free) struct lease *lease = xcalloc(1, sizeof *lease);
    pthread_condattr_t monotonic;
    struct mapping_sql sql;

    pthread_mutex_init(&lease->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&lease->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    lease->name = xstrdup(options->name);
    lease->setting = options->setting;
    lease->slot = options->slot;
    control_sql_init(&lease->control_sql, options->mapping);
    mapping_sql_init(&sql, options->mapping);
    lease->cleanup_statement = control_statement(&sql, &sql_cleanup);
    mapping_sql_release(&sql);
    cleanup_init(&lease->cleanup, &lease->cleanup_statement, options->cleanup_delay_us);
    lease->cleanup_enabled = options->cleanup;
    lease->stale_us = options->stale_us;
    lease->key = lease_key(options->name);
    lease->pg_options = (struct pg_options){
        .dsn = options->dsn, .application_name = "outbox-relay lease", .statement_timeout_ms = STATEMENT_TIMEOUT_MS
    };
    if (!pg_open(&lease->pg_options, &lease->pg, e))
        return false;
    *ret_lease = TAKE(lease);
    return true;
}

void lease_free(struct lease *lease)
{
    if (!lease)
        return;
    if (lease->keeping) {
        pthread_mutex_lock(&lease->lock);
        lease->stopping = true;
        pthread_cond_signal(&lease->wake);
        pthread_mutex_unlock(&lease->lock);
        pthread_join(lease->thread, NULL);
    }
    pg_free(lease->pg);
    cleanup_release(&lease->cleanup);
    control_sql_release(&lease->control_sql);
    control_statement_release(&lease->cleanup_statement);
    xfree(lease->name);
    snapshot_release(&lease->published);
    pthread_cond_destroy(&lease->wake);
    pthread_mutex_destroy(&lease->lock);
    xfree(lease);
}

static bool lease_ask(
    struct lease *lease, const struct pg_statement *statement, struct pg_result **ret_result, struct error *e)
{
    pg_arg_int32(lease->pg, LEASE_CLASS);
    pg_arg_int32(lease->pg, lease->key);
    return pg_query(lease->pg, statement, ret_result, e);
}

/* Ends the holder's session if its client is silent. */
static bool lease_take_over(struct lease *lease, bool *ret_taken_over, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *holder = NULL;
    CLEANUP(pg_result_free) struct pg_result *ended = NULL;

    if (!lease_ask(lease, &sql_lease_holder, &holder, e))
        return false;
    if (pg_rows(holder) == 0 || pg_get_int64(holder, 0, 1) < lease->stale_us)
        return true;
    pg_arg_int32(lease->pg, (int32_t)pg_get_int64(holder, 0, 0));
    *ret_taken_over = true;
    return pg_query(lease->pg, &sql_lease_take, &ended, e);
}

bool lease_try(struct lease *lease, bool *ret_held, bool *ret_taken_over, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *result = NULL;

    *ret_taken_over = false;
    if (!lease_ask(lease, &sql_lease_try, &result, e))
        return false;
    *ret_held = pg_get_bool(result, 0, 0);
    lease->backend_pid = PQbackendPID(pg_native(lease->pg));
    return *ret_held || lease_take_over(lease, ret_taken_over, e);
}

bool lease_claim(struct lease *lease, const char *source, bool *ret_found, struct position *ret_stored, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *result = NULL;

    pg_arg_text(lease->pg, lease->name);
    if (!pg_query(lease->pg, &lease->control_sql.claim, &result, e)) {
        char why[sizeof e->message];

        snprintf(why, sizeof why, "%s", e->message);
        return error_set(e, e->kind, "%s_CONTROL_TABLE: %.120s", lease->setting, why);
    }
    lease->epoch = pg_get_int64(result, 0, 0);
    *ret_found = !pg_is_null(result, 0, 1);
    return (!*ret_found || position_decode(pg_get_bytes(result, 0, 1), source, ret_stored, e)) &&
           control_read(lease->pg, &lease->control_sql, lease->name, &lease->control, e);
}

int64_t lease_epoch(const struct lease *lease)
{
    return lease->epoch;
}

/* ---- The thread ---- */

static bool lease_beat(struct lease *lease, struct error *e)
{
    struct control control;

    if (!control_read(lease->pg, &lease->control_sql, lease->name, &control, e))
        return false;
    if (PQbackendPID(pg_native(lease->pg)) != lease->backend_pid)
        return error_set(e, ERROR_TRANSIENT, "the session that held the lease is gone");
    pthread_mutex_lock(&lease->lock);
    lease->control = control;
    pthread_mutex_unlock(&lease->lock);
    return true;
}

static void lease_count_parked(struct lease *lease)
{
    CLEANUP(pg_result_free) struct pg_result *result = NULL;
    struct error e = { 0 };

    pg_arg_int64(lease->pg, LEASE_PARKED_MAX);
    if (!pg_query(lease->pg, &lease->control_sql.parked_count, &result, &e)) {
        log_error_seldom("count of the parked rows", &e);
        return;
    }
    pthread_mutex_lock(&lease->lock);
    lease->parked_rows = (uint64_t)pg_get_int64(result, 0, 0);
    pthread_mutex_unlock(&lease->lock);
}

/* Here and not where the log is read: a source that is paused, or waits for Kafka, reads nothing, and its slot keeps
 * more and more. */
static void lease_measure_slot(struct lease *lease)
{
    CLEANUP(pg_result_free) struct pg_result *result = NULL;
    struct error e = { 0 };

    pg_arg_text(lease->pg, lease->slot);
    if (!pg_query(lease->pg, &sql_wal_retained, &result, &e)) {
        log_error_seldom("log that the slot keeps", &e);
        return;
    }
    pthread_mutex_lock(&lease->lock);
    lease->retained_bytes = pg_rows(result) == 1 ? (uint64_t)pg_get_int64(result, 0, 0) : 0;
    pthread_mutex_unlock(&lease->lock);
}

/* For those who watch; a failure is no reason to stop publishing, and shows at the next beat if it is one. */
static void lease_count(struct lease *lease, int64_t *next_us)
{
    if (monotonic_us() < *next_us)
        return;
    *next_us = monotonic_us() + COUNT_EVERY_US;
    lease_count_parked(lease);
    if (lease->slot)
        lease_measure_slot(lease);
}

/* Returns whether there is more to do now. What goes wrong here is no reason to stop publishing. */
static bool lease_cleanup(struct lease *lease)
{
    struct error e = { 0 };
    struct snapshot published;
    bool more = false;

    pthread_mutex_lock(&lease->lock);
    published = lease->published;
    lease->published = (struct snapshot){ 0 };
    pthread_mutex_unlock(&lease->lock);
    if (published.text)
        cleanup_published(&lease->cleanup, &published, monotonic_us());
    snapshot_release(&published);
    if (monotonic_us() < lease->cleanup_again_us)
        return false;
    if (!cleanup_step(&lease->cleanup, lease->pg, monotonic_us(), &more, &e)) {
        log_error_seldom("clean-up of the outbox", &e);
        lease->cleanup_again_us = monotonic_us() + (int64_t)CLEANUP_BACK_OFF_S * 1000000;
    }
    return more;
}

/* Returns whether to stop. */
static bool lease_rest(struct lease *lease, int64_t rest_us)
{
    int64_t until_us = monotonic_us() + rest_us;
    struct timespec until = { .tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000 };
    bool stopping;

    pthread_mutex_lock(&lease->lock);
    lease->deleted_rows = lease->cleanup.deleted_rows;
    while (!lease->stopping && monotonic_us() < until_us)
        pthread_cond_timedwait(&lease->wake, &lease->lock, &until);
    stopping = lease->stopping;
    pthread_mutex_unlock(&lease->lock);
    return stopping;
}

static void *lease_main(void *context)
{
    struct lease *lease = context;
    const int64_t beat_us = lease->stale_us / LEASE_BEATS;
    int64_t rest_us = 0, count_us = 0;

    while (!lease_rest(lease, rest_us)) {
        struct error e = { 0 };
        int64_t begin_us = monotonic_us();
        bool more;

        if (!lease_beat(lease, &e)) {
            pthread_mutex_lock(&lease->lock);
            lease->lost = true;
            lease->lost_why = e;
            pthread_mutex_unlock(&lease->lock);
            return NULL;
        }
        lease_count(lease, &count_us);
        more = lease->cleanup_enabled && lease_cleanup(lease);
        rest_us = more ? (monotonic_us() - begin_us) * cleanup_rest_factor(&lease->cleanup, monotonic_us()) : beat_us;
        if (rest_us > beat_us)
            rest_us = beat_us;
    }
    return NULL;
}

bool lease_keep(struct lease *lease, struct error *e)
{
    int code = pthread_create(&lease->thread, NULL, lease_main, lease);

    if (code != 0)
        return error_set(e, ERROR_TRANSIENT, "cannot start a thread: %s", strerror(code));
    lease->keeping = true;
    return true;
}

bool lease_lost(struct lease *lease, struct error *e)
{
    bool lost;

    pthread_mutex_lock(&lease->lock);
    lost = lease->lost;
    if (lost)
        *e = lease->lost_why;
    pthread_mutex_unlock(&lease->lock);
    return lost;
}

void lease_published(struct lease *lease, const struct snapshot *before)
{
    pthread_mutex_lock(&lease->lock);
    snapshot_release(&lease->published);
    snapshot_copy(before, &lease->published);
    pthread_mutex_unlock(&lease->lock);
}

void lease_control(struct lease *lease, struct control *ret_control)
{
    pthread_mutex_lock(&lease->lock);
    *ret_control = lease->control;
    pthread_mutex_unlock(&lease->lock);
}

uint64_t lease_parked_rows(struct lease *lease)
{
    uint64_t parked;

    pthread_mutex_lock(&lease->lock);
    parked = lease->parked_rows;
    pthread_mutex_unlock(&lease->lock);
    return parked;
}

uint64_t lease_retained_bytes(struct lease *lease)
{
    uint64_t retained;

    pthread_mutex_lock(&lease->lock);
    retained = lease->retained_bytes;
    pthread_mutex_unlock(&lease->lock);
    return retained;
}

uint64_t lease_deleted_rows(struct lease *lease)
{
    uint64_t deleted;

    pthread_mutex_lock(&lease->lock);
    deleted = lease->deleted_rows;
    pthread_mutex_unlock(&lease->lock);
    return deleted;
}
