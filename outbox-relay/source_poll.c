/* Polling: a round is the rows between two snapshots, read by id in pages. */
#include "reading.h"
#include "relay_sql.h"
#include "timeline.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    POLL_MIN_US = 1000,
    FLUSH_POLL_US = 200,
    FLUSH_PATIENCE_US = 2000, /* then the flush is done by us instead of waited for */
};

enum poller_state {
    POLLER_QUIET,         /* no query under way */
    POLLER_ASKED_PRESENT, /* sql/present */
    POLLER_UNFLUSHED,     /* rows are there, but Postgres could still forget them; no query under way */
    POLLER_ASKED_FLUSHED, /* sql/flushed or sql/flush */
    POLLER_ASKED_PAGE,    /* sql/page */
};

struct poller {
    struct source base; /* first */
    const struct source_options *options;
    struct reading reading;
    int64_t page_rows, page_bytes, poll_max_us;
    int64_t page_rows_max; /* as configured */
    enum poller_state state;
    struct position at;      /* of what was handed out */
    struct position page_at; /* where the page begins that was handed out last */
    struct snapshot present; /* the next round's `now`, until it is flushed */
    uint64_t present_lsn, present_first_id, present_rows, present_bytes;
    int64_t asked_present_us;            /* now_us() before the present was asked for */
    int64_t unflushed_since_us;          /* monotonic */
    int64_t poll_delay_us, next_poll_us; /* monotonic */
    uint64_t round_left;                 /* rows; an estimate after source_resume() */
    uint64_t round_left_bytes;           /* an estimate */
    int64_t caught_up_us;
};

static const struct source_ops poller_ops;

bool source_poll_open(const struct source_options *options, struct source **ret_source, struct error *e)
{
    struct poller *poller = xcalloc(1, sizeof *poller);
    CLEANUP(source_free) struct source *source = &poller->base;
    static const struct pg_statement *const statements[] = { &sql_identity, &sql_present, &sql_flushed, &sql_flush,
        &sql_page };

    poller->base.ops = &poller_ops;
    poller->options = options;
    poller->page_rows = poller->page_rows_max = options->page_rows;
    poller->page_bytes = options->page_bytes;
    poller->poll_max_us = options->poll_max_us;
    poller->poll_delay_us = POLL_MIN_US;
    poller->caught_up_us = now_us();
    position_init(&poller->at);
    position_init(&poller->page_at);

    if (!reading_open(&poller->reading, options, statements, ARRAY_LEN(statements), e))
        return false;
    CLEANUP(pg_native_clear) PGresult *listen = PQexec(poller->reading.conn, "LISTEN outbox");
    if (PQresultStatus(listen) != PGRES_COMMAND_OK)
        return pg_error_from_result(listen, e);
    *ret_source = TAKE(source);
    return true;
}

static void poller_free(struct source *source)
{
    struct poller *poller = (struct poller *)source;

    reading_release(&poller->reading);
    position_release(&poller->at);
    position_release(&poller->page_at);
    snapshot_release(&poller->present);
    xfree(poller);
}

static bool poller_identify(struct source *source, struct position *position, struct error *e)
{
    struct poller *poller = (struct poller *)source;
    CLEANUP(pg_native_clear)
    PGresult *result = PQexecPrepared(poller->reading.conn, sql_identity.name, 0, NULL, NULL, NULL, 1);
    struct snapshot present;
    uint64_t system_identifier;
    uint32_t timeline;

    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        return pg_error_from_result(result, e);
    system_identifier = result_u64(result, 0, 0);
    timeline = (uint32_t)strtoul(PQgetvalue(result, 0, 1), NULL, 16);
    if (!snapshot_parse(PQgetvalue(result, 0, 2), &present, e))
        return false;

    bool same = position_check_database(position, system_identifier, timeline, &present, e);
    snapshot_release(&present);
    if (!same || !timeline_check(poller->reading.conn, poller->options->dsn, poller->options->application_name,
                     position, timeline, e))
        return false;
    position->system_identifier = system_identifier;
    position->timeline = timeline;
    return true;
}

static bool poller_resume(struct source *source, const struct position *position, struct error *e)
{
    struct poller *poller = (struct poller *)source;
    PGresult *result;

    while ((result = PQgetResult(poller->reading.conn)))
        PQclear(result);
    if (PQstatus(poller->reading.conn) != CONNECTION_OK)
        return reading_lost(&poller->reading, "connection lost", e);
    position_copy(position, &poller->at);
    poller->state = POLLER_QUIET;
    poller->next_poll_us = 0;
    poller->round_left = poller->round_left_bytes = 0;
    return true;
}

static void poller_limit(struct source *source, int64_t rows)
{
    struct poller *poller = (struct poller *)source;
    poller->page_rows = rows > 0 && rows < poller->page_rows_max ? rows : poller->page_rows_max;
}

/* ---- Questions ---- */

static bool poller_ask(struct poller *poller, const struct pg_statement *statement, const char *const *arguments,
    int argument_count, enum poller_state state, struct error *e)
{
    if (!PQsendQueryPrepared(poller->reading.conn, statement->name, argument_count, arguments, NULL, NULL, 1))
        return reading_lost(&poller->reading, "cannot send a query", e);
    poller->state = state;
    return true;
}

static char *xip_array(const struct snapshot *snapshot)
{
    const char *list = strrchr(snapshot->text, ':') + 1;

    return xasprintf("{%s}", list);
}

/* A writer may say NOTIFY outbox: then there is no need to wait for the next look. */
static bool poller_notified(struct poller *poller)
{
    bool notified = false;
    PGnotify *notify;

    PQconsumeInput(poller->reading.conn);
    while ((notify = PQnotifies(poller->reading.conn))) {
        PQfreemem(notify);
        notified = true;
    }
    return notified;
}

static bool poller_ask_present(struct poller *poller, struct error *e)
{
    CLEANUP(xfree) char *running = xip_array(&poller->at.before);
    char xmax[24];
    const char *const arguments[] = { xmax, running };

    snprintf(xmax, sizeof xmax, "%" PRIu64, poller->at.before.xmax);
    poller_notified(poller); /* whatever was notified so far is part of the answer */
    poller->asked_present_us = now_us();
    return poller_ask(poller, &sql_present, arguments, ARRAY_LEN(arguments), POLLER_ASKED_PRESENT, e);
}

static bool poller_ask_page(struct poller *poller, uint64_t after_id, struct error *e)
{
    char after[24], rows[24], bytes[24];
    const char *const arguments[] = { after, poller->at.now.text, poller->at.before.text, rows, bytes };

    snprintf(after, sizeof after, "%" PRIu64, after_id);
    snprintf(rows, sizeof rows, "%" PRId64, poller->page_rows);
    snprintf(bytes, sizeof bytes, "%" PRId64, poller->page_bytes);
    return poller_ask(poller, &sql_page, arguments, ARRAY_LEN(arguments), POLLER_ASKED_PAGE, e);
}

/* ---- Answers ---- */

static void poller_look_later(struct poller *poller)
{
    poller->next_poll_us = monotonic_us() + poller->poll_delay_us;
    poller->poll_delay_us += poller->poll_delay_us / 2;
    if (poller->poll_delay_us > poller->poll_max_us)
        poller->poll_delay_us = poller->poll_max_us;
    poller->state = POLLER_QUIET;
}

static bool poller_begin_round(struct poller *poller, struct error *e)
{
    position_begin_round(&poller->at, &poller->present);
    poller->at.log_lsn = poller->present_lsn;
    poller->at.last_id = poller->present_first_id - 1;
    poller->round_left = poller->present_rows;
    poller->round_left_bytes = poller->present_bytes;
    poller->poll_delay_us = POLL_MIN_US;
    return poller_ask_page(poller, poller->at.last_id, e);
}

static bool poller_took_present(struct poller *poller, const PGresult *result, struct error *e)
{
    struct snapshot present;
    bool flushed = result_u64(result, 0, 2) >= result_u64(result, 0, 1);

    if (!snapshot_parse(PQgetvalue(result, 0, 0), &present, e))
        return false;
    snapshot_release(&poller->present);
    poller->present = present;
    poller->present_lsn = result_u64(result, 0, 1);
    poller->present_rows = result_u64(result, 0, 3);
    poller->present_first_id = result_u64(result, 0, 4);
    poller->present_bytes = result_u64(result, 0, 6);

    if (poller->present_rows == 0) {
        poller->caught_up_us = poller->asked_present_us;
        if (flushed) { /* an unflushed snapshot must never become part of a position */
            position_begin_round(&poller->at, &poller->present);
            poller->at.log_lsn = poller->present_lsn;
            position_finish_round(&poller->at);
        }
        poller_look_later(poller);
        return true;
    }
    if (!PQgetisnull(result, 0, 5) && result_time_us(result, 0, 5) < poller->caught_up_us)
        poller->caught_up_us = result_time_us(result, 0, 5);
    if (flushed || poller->options->stored_ahead)
        return poller_begin_round(poller, e);
    poller->unflushed_since_us = monotonic_us();
    poller->next_poll_us = poller->unflushed_since_us + FLUSH_POLL_US;
    poller->state = POLLER_UNFLUSHED;
    return true;
}

static bool poller_took_flushed(struct poller *poller, const PGresult *result, struct error *e)
{
    if (result_u64(result, 0, 0) >= poller->present_lsn)
        return poller_begin_round(poller, e);
    poller->next_poll_us = monotonic_us() + FLUSH_POLL_US;
    poller->state = POLLER_UNFLUSHED;
    return true;
}

static bool poller_took_page(struct poller *poller, PGresult *result, struct source_page *ret_page, struct error *e)
{
    position_copy(&poller->at, &poller->page_at);

    int64_t payload_bytes = reading_take(&poller->reading, result, poller->at.published_rows + 1);
    size_t count = poller->reading.count;

    poller->state = POLLER_QUIET;
    poller->at.published_rows += count;
    poller->round_left -= count < poller->round_left ? count : poller->round_left;
    poller->round_left_bytes -=
        (uint64_t)payload_bytes < poller->round_left_bytes ? (uint64_t)payload_bytes : poller->round_left_bytes;
    *ret_page = (struct source_page){ .rows = poller->reading.rows,
        .count = count,
        .round_done = (int64_t)count < poller->page_rows && payload_bytes < poller->page_bytes };

    if (ret_page->round_done) {
        position_finish_round(&poller->at);
        poller->round_left = poller->round_left_bytes = 0;
        poller->caught_up_us =
            poller->asked_present_us > poller->caught_up_us ? poller->asked_present_us : poller->caught_up_us;
        poller->next_poll_us = 0;
        return true;
    }
    poller->at.last_id = poller->reading.rows[count - 1].id;
    return poller_ask_page(poller, poller->at.last_id, e);
}

/* ---- The loop ---- */

static void sleep_until(int64_t until_us, PGconn *conn)
{
    int64_t left_us = until_us - monotonic_us();
    struct timespec left = { .tv_sec = left_us / 1000000, .tv_nsec = left_us % 1000000 * 1000 };
    struct pollfd socket = { .fd = PQsocket(conn), .events = POLLIN };

    if (left_us > 0)
        ppoll(&socket, 1, &left, NULL);
}

/* *ret_result stays NULL if there is none before the deadline. */
static bool poller_await(struct poller *poller, int64_t deadline_us, PGresult **ret_result, struct error *e)
{
    PGresult *result, *rest;

    for (;;) {
        if (!PQconsumeInput(poller->reading.conn))
            return reading_lost(&poller->reading, "connection lost", e);
        if (!PQisBusy(poller->reading.conn))
            break;
        if (monotonic_us() >= deadline_us)
            return true;
        sleep_until(deadline_us, poller->reading.conn);
    }
    result = PQgetResult(poller->reading.conn);
    while ((rest = PQgetResult(poller->reading.conn)))
        PQclear(rest);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        pg_error_from_result(result, e);
        PQclear(result);
        return false;
    }
    *ret_result = result;
    return true;
}

static bool poller_take(struct poller *poller, PGresult *result, struct source_page *ret_page, struct error *e)
{
    bool ok;

    switch (poller->state) {
    case POLLER_ASKED_PRESENT:
        ok = poller_took_present(poller, result, e);
        break;
    case POLLER_ASKED_FLUSHED:
        ok = poller_took_flushed(poller, result, e);
        break;
    case POLLER_ASKED_PAGE:
        return poller_took_page(poller, result, ret_page, e); /* keeps the result */
    case POLLER_QUIET:
    case POLLER_UNFLUSHED:
    default:
        ok = error_set(e, ERROR_FATAL, "an answer without a question");
    }
    PQclear(result);
    return ok;
}

/* No query is under way: asks the next one when its time has come, else sleeps until then or the deadline. */
static bool poller_ask_next(struct poller *poller, int64_t deadline_us, struct error *e)
{
    if (poller->state == POLLER_QUIET && position_in_round(&poller->at))
        return poller_ask_page(poller, poller->at.last_id, e);

    if (monotonic_us() < poller->next_poll_us) {
        sleep_until(poller->next_poll_us < deadline_us ? poller->next_poll_us : deadline_us, poller->reading.conn);
        if (PQstatus(poller->reading.conn) != CONNECTION_OK)
            return reading_lost(&poller->reading, "connection lost", e);
        if (poller_notified(poller) && poller->state == POLLER_QUIET)
            poller->next_poll_us = 0;
        if (monotonic_us() < poller->next_poll_us)
            return true;
    }
    if (poller->state == POLLER_QUIET)
        return poller_ask_present(poller, e);
    if (monotonic_us() - poller->unflushed_since_us < FLUSH_PATIENCE_US)
        return poller_ask(poller, &sql_flushed, NULL, 0, POLLER_ASKED_FLUSHED, e);
    return poller_ask(poller, &sql_flush, NULL, 0, POLLER_ASKED_FLUSHED, e);
}

static bool poller_next(struct source *source, int64_t wait_us, struct source_page *ret_page, struct error *e)
{
    struct poller *poller = (struct poller *)source;
    int64_t deadline_us = monotonic_us() + wait_us;

    *ret_page = (struct source_page){ 0 };
    do {
        PGresult *result = NULL;

        if (poller->state == POLLER_QUIET || poller->state == POLLER_UNFLUSHED) {
            if (!poller_ask_next(poller, deadline_us, e))
                return false;
            continue;
        }
        if (!poller_await(poller, deadline_us, &result, e))
            return false;
        if (!result)
            return true;
        if (!poller_take(poller, result, ret_page, e))
            return false;
    } while (ret_page->count == 0 && !ret_page->round_done && monotonic_us() < deadline_us);
    return true;
}

static void poller_pump(struct source *source)
{
    struct poller *poller = (struct poller *)source;

    if (poller->state == POLLER_ASKED_PAGE)
        PQconsumeInput(poller->reading.conn);
}

static bool poller_committed(struct source *source, const struct position *position, struct error *e)
{
    (void)source, (void)position, (void)e; /* clean-up is the lease's */
    return true;
}

static const struct position *poller_position(const struct source *source)
{
    return &((const struct poller *)source)->at;
}

static const struct position *poller_page_position(const struct source *source)
{
    return &((const struct poller *)source)->page_at;
}

static void poller_waiting(const struct source *source, struct source_waiting *ret_waiting)
{
    const struct poller *poller = (const struct poller *)source;

    *ret_waiting = (struct source_waiting){
        .rows = poller->round_left, .bytes = poller->round_left_bytes, .caught_up_us = poller->caught_up_us
    };
}

static const char *poller_content_type(const struct source *source)
{
    return ((const struct poller *)source)->reading.sql.content_type;
}

static const struct source_ops poller_ops = { .free = poller_free,
    .identify = poller_identify,
    .resume = poller_resume,
    .next = poller_next,
    .limit = poller_limit,
    .pump = poller_pump,
    .committed = poller_committed,
    .position = poller_position,
    .page_position = poller_page_position,
    .waiting = poller_waiting,
    .content_type = poller_content_type };
