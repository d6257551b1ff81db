/* Polling: a round is the rows between two snapshots, read by id in pages. */
#include "source.h"

#include "relay_sql.h"

#include <endian.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    POSTGRES_EPOCH_S = 946684800, /* 2000-01-01 */
    POLL_MIN_US = 1000,
    FLUSH_POLL_US = 200,
    FLUSH_PATIENCE_US = 2000, /* then the flush is done by us instead of waited for */
    CONNECT_TIMEOUT_S = 5,
    ARRAY_HEADER_BYTES = 12,
    ARRAY_DIMENSION_BYTES = 8,
};
static const char statement_timeout[] = "60s";
static const char tcp_user_timeout_ms[] = "10000";

enum source_state {
    SOURCE_QUIET,         /* no query under way */
    SOURCE_ASKED_PRESENT, /* sql/present */
    SOURCE_UNFLUSHED,     /* rows are there, but Postgres could still forget them; no query under way */
    SOURCE_ASKED_FLUSHED, /* sql/flushed or sql/flush */
    SOURCE_ASKED_PAGE,    /* sql/page */
};

struct source {
    PGconn *conn;
    int64_t page_rows, page_bytes, poll_max_us;
    int64_t page_rows_max; /* as configured */
    enum source_state state;
    struct position at;      /* of what was handed out */
    struct snapshot present; /* the next round's `now`, until it is flushed */
    uint64_t present_lsn, present_first_id, present_rows;
    int64_t asked_present_us;            /* now_us() before the present was asked for */
    int64_t unflushed_since_us;          /* monotonic */
    int64_t poll_delay_us, next_poll_us; /* monotonic */
    uint64_t round_left;                 /* rows; an estimate after source_resume() */
    int64_t caught_up_us;
    PGresult *page; /* what rows point into */
    struct source_row *rows;
    size_t rows_capacity;
    struct bytes *headers; /* of all rows of the page */
    size_t headers_capacity, header_count;
};

static bool source_lost(struct source *source, const char *what, struct error *e)
{
    const char *why = PQerrorMessage(source->conn);

    return error_set(e, ERROR_TRANSIENT, "%s: %.*s", what, (int)strcspn(why, "\n"), why);
}

static void pg_result_clear(PGresult *result)
{
    PQclear(result);
}
DEFINE_CLEANUP(PGresult *, pg_result_clear)

static bool source_prepare(struct source *source, const struct pg_statement *statement, struct error *e)
{
    CLEANUP(pg_result_clear) PGresult *result = PQprepare(source->conn, statement->name, statement->sql, 0, NULL);

    return PQresultStatus(result) == PGRES_COMMAND_OK || pg_error_from_result(result, e);
}

static bool source_begin_session(struct source *source, struct error *e)
{
    static const struct pg_statement *const statements[] = { &sql_identity, &sql_present, &sql_flushed, &sql_flush,
        &sql_page };
    const char *const arguments[] = { statement_timeout };
    CLEANUP(pg_result_clear)
    PGresult *settings = PQexecParams(source->conn, sql_session.sql, 1, NULL, arguments, NULL, NULL, 0);

    if (PQresultStatus(settings) != PGRES_TUPLES_OK)
        return pg_error_from_result(settings, e);
    for (size_t i = 0; i < ARRAY_LEN(statements); i++)
        if (!source_prepare(source, statements[i], e))
            return false;

    CLEANUP(pg_result_clear) PGresult *listen = PQexec(source->conn, "LISTEN outbox");
    return PQresultStatus(listen) == PGRES_COMMAND_OK || pg_error_from_result(listen, e);
}

bool source_open(const struct source_options *options, struct source **ret_source, struct error *e)
{
    CLEANUP(source_free) struct source *source = xcalloc(1, sizeof *source);
    char connect_timeout_s[16];
    /* Those before dbname are defaults that the dsn may override. */
    const char *const names[] = { "connect_timeout", "tcp_user_timeout", "dbname", "application_name", NULL };
    const char *const values[] = { connect_timeout_s, tcp_user_timeout_ms, options->dsn, options->application_name,
        NULL };

    snprintf(connect_timeout_s, sizeof connect_timeout_s, "%d", CONNECT_TIMEOUT_S);
    source->page_rows = source->page_rows_max = options->page_rows;
    source->page_bytes = options->page_bytes;
    source->poll_max_us = options->poll_max_us;
    source->poll_delay_us = POLL_MIN_US;
    source->caught_up_us = now_us();
    position_init(&source->at);

    source->conn = PQconnectdbParams(names, values, 1);
    if (!source->conn || PQstatus(source->conn) != CONNECTION_OK)
        return source_lost(source, "cannot connect", e);
    if (!source_begin_session(source, e))
        return false;
    *ret_source = TAKE(source);
    return true;
}

void source_free(struct source *source)
{
    if (!source)
        return;
    PQclear(source->page);
    PQfinish(source->conn);
    position_release(&source->at);
    snapshot_release(&source->present);
    xfree(source->rows);
    xfree(source->headers);
    xfree(source);
}

static uint32_t read_be32(const void *data)
{
    uint32_t value;

    memcpy(&value, data, sizeof value);
    return be32toh(value);
}

static uint64_t result_u64(const PGresult *result, int row, int column)
{
    uint64_t value;

    if (PQgetisnull(result, row, column) || PQgetlength(result, row, column) != sizeof value)
        return 0;
    memcpy(&value, PQgetvalue(result, row, column), sizeof value);
    return be64toh(value);
}

static int64_t result_time_us(const PGresult *result, int row, int column)
{
    if (PQgetisnull(result, row, column))
        return 0;
    return (int64_t)result_u64(result, row, column) + (int64_t)POSTGRES_EPOCH_S * 1000000;
}

bool source_identify(struct source *source, struct position *position, struct error *e)
{
    CLEANUP(pg_result_clear)
    PGresult *result = PQexecPrepared(source->conn, sql_identity.name, 0, NULL, NULL, NULL, 1);
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
    if (!same)
        return false;
    position->system_identifier = system_identifier;
    position->timeline = timeline;
    return true;
}

bool source_resume(struct source *source, const struct position *position, struct error *e)
{
    PGresult *result;

    while ((result = PQgetResult(source->conn)))
        PQclear(result);
    if (PQstatus(source->conn) != CONNECTION_OK)
        return source_lost(source, "connection lost", e);
    position_copy(position, &source->at);
    source->state = SOURCE_QUIET;
    source->next_poll_us = 0;
    source->round_left = 0;
    return true;
}

void source_limit(struct source *source, int64_t rows)
{
    source->page_rows = rows > 0 && rows < source->page_rows_max ? rows : source->page_rows_max;
}

/* ---- Questions ---- */

static bool source_ask(struct source *source, const struct pg_statement *statement, const char *const *arguments,
    int argument_count, enum source_state state, struct error *e)
{
    if (!PQsendQueryPrepared(source->conn, statement->name, argument_count, arguments, NULL, NULL, 1))
        return source_lost(source, "cannot send a query", e);
    source->state = state;
    return true;
}

static char *xip_array(const struct snapshot *snapshot)
{
    const char *list = strrchr(snapshot->text, ':') + 1;

    return xasprintf("{%s}", list);
}

/* A writer may say NOTIFY outbox: then there is no need to wait for the next look. */
static bool source_notified(struct source *source)
{
    bool notified = false;
    PGnotify *notify;

    PQconsumeInput(source->conn);
    while ((notify = PQnotifies(source->conn))) {
        PQfreemem(notify);
        notified = true;
    }
    return notified;
}

static bool source_ask_present(struct source *source, struct error *e)
{
    CLEANUP(xfree) char *running = xip_array(&source->at.before);
    char xmax[24];
    const char *const arguments[] = { xmax, running };

    snprintf(xmax, sizeof xmax, "%" PRIu64, source->at.before.xmax);
    source_notified(source); /* whatever was notified so far is part of the answer */
    source->asked_present_us = now_us();
    return source_ask(source, &sql_present, arguments, ARRAY_LEN(arguments), SOURCE_ASKED_PRESENT, e);
}

static bool source_ask_page(struct source *source, uint64_t after_id, struct error *e)
{
    char after[24], rows[24], bytes[24];
    const char *const arguments[] = { after, source->at.now.text, source->at.before.text, rows, bytes };

    snprintf(after, sizeof after, "%" PRIu64, after_id);
    snprintf(rows, sizeof rows, "%" PRId64, source->page_rows);
    snprintf(bytes, sizeof bytes, "%" PRId64, source->page_bytes);
    return source_ask(source, &sql_page, arguments, ARRAY_LEN(arguments), SOURCE_ASKED_PAGE, e);
}

/* ---- Answers ---- */

static void source_look_later(struct source *source)
{
    source->next_poll_us = monotonic_us() + source->poll_delay_us;
    source->poll_delay_us += source->poll_delay_us / 2;
    if (source->poll_delay_us > source->poll_max_us)
        source->poll_delay_us = source->poll_max_us;
    source->state = SOURCE_QUIET;
}

static bool source_begin_round(struct source *source, struct error *e)
{
    position_begin_round(&source->at, &source->present);
    source->at.last_id = source->present_first_id - 1;
    source->round_left = source->present_rows;
    source->poll_delay_us = POLL_MIN_US;
    return source_ask_page(source, source->at.last_id, e);
}

static bool source_took_present(struct source *source, const PGresult *result, struct error *e)
{
    struct snapshot present;
    bool flushed = result_u64(result, 0, 2) >= result_u64(result, 0, 1);

    if (!snapshot_parse(PQgetvalue(result, 0, 0), &present, e))
        return false;
    snapshot_release(&source->present);
    source->present = present;
    source->present_lsn = result_u64(result, 0, 1);
    source->present_rows = result_u64(result, 0, 3);
    source->present_first_id = result_u64(result, 0, 4);

    if (source->present_rows == 0) {
        source->caught_up_us = source->asked_present_us;
        if (flushed) { /* an unflushed snapshot must never become part of a position */
            position_begin_round(&source->at, &source->present);
            position_finish_round(&source->at);
        }
        source_look_later(source);
        return true;
    }
    if (result_time_us(result, 0, 5) < source->caught_up_us)
        source->caught_up_us = result_time_us(result, 0, 5);
    if (flushed)
        return source_begin_round(source, e);
    source->unflushed_since_us = monotonic_us();
    source->next_poll_us = source->unflushed_since_us + FLUSH_POLL_US;
    source->state = SOURCE_UNFLUSHED;
    return true;
}

static bool source_took_flushed(struct source *source, const PGresult *result, struct error *e)
{
    if (result_u64(result, 0, 0) >= source->present_lsn)
        return source_begin_round(source, e);
    source->next_poll_us = monotonic_us() + FLUSH_POLL_US;
    source->state = SOURCE_UNFLUSHED;
    return true;
}

/* Reads a text[] as it travels in binary: name, value, name, value, … into source->headers. */
static const char *source_read_headers(struct source *source, const char *data, size_t len, size_t *ret_count)
{
    size_t count, used = ARRAY_HEADER_BYTES + ARRAY_DIMENSION_BYTES;

    *ret_count = 0;
    if (len < ARRAY_HEADER_BYTES || read_be32(data) == 0)
        return NULL;
    if (read_be32(data) != 1 || len < used)
        return "headers is not a list of one dimension";
    count = read_be32(data + ARRAY_HEADER_BYTES);
    if (count % 2 != 0)
        return "headers has a name without a value";
    if (count > 2 * SOURCE_HEADERS_MAX)
        return "headers has too many entries";
    if (source->header_count + count > source->headers_capacity) {
        source->headers_capacity = (source->header_count + count) * 2;
        source->headers = xrealloc(source->headers, source->headers_capacity * sizeof *source->headers);
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t item = len - used >= 4 ? read_be32(data + used) : UINT32_MAX;

        used += 4;
        if (item == UINT32_MAX || item > len - used)
            return "headers has a NULL";
        source->headers[source->header_count + i] = (struct bytes){ data + used, item };
        used += item;
    }
    source->header_count += count;
    *ret_count = count;
    return NULL;
}

static struct bytes result_bytes(const PGresult *result, int row, int column)
{
    if (PQgetisnull(result, row, column))
        return (struct bytes){ 0 };
    return (struct bytes){ PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column) };
}

/* Returns the bytes of payload in the page. */
static int64_t source_read_rows(struct source *source, const PGresult *result)
{
    size_t count = (size_t)PQntuples(result), first_header = 0;
    int64_t payload_bytes = 0;

    if (count > source->rows_capacity) {
        source->rows_capacity = count;
        source->rows = xrealloc(source->rows, count * sizeof *source->rows);
    }
    source->header_count = 0;
    for (int i = 0; i < (int)count; i++) {
        struct bytes headers = result_bytes(result, i, 6);
        struct source_row *row = &source->rows[i];

        *row = (struct source_row){ .id = result_u64(result, i, 0),
            .topic = PQgetvalue(result, i, 1),
            .key = result_bytes(result, i, 2),
            .type = PQgetvalue(result, i, 3),
            .payload = result_bytes(result, i, 4),
            .traceparent = PQgetvalue(result, i, 5),
            .created_at_us = result_time_us(result, i, 7) };
        payload_bytes += (int64_t)row->payload.len;
        if (headers.len > 0)
            row->flaw = source_read_headers(source, headers.data, headers.len, &row->header_count);
    }
    for (size_t i = 0; i < count; i++) { /* only now: the list may have moved while it grew */
        source->rows[i].headers = source->headers + first_header;
        first_header += source->rows[i].header_count;
    }
    return payload_bytes;
}

static bool source_took_page(struct source *source, PGresult *result, struct source_page *ret_page, struct error *e)
{
    int64_t payload_bytes = source_read_rows(source, result);
    size_t count = (size_t)PQntuples(result);

    PQclear(source->page);
    source->page = result;
    source->state = SOURCE_QUIET;
    source->at.published_rows += count;
    source->round_left -= count < source->round_left ? count : source->round_left;
    *ret_page = (struct source_page){ .rows = source->rows,
        .count = count,
        .round_done = (int64_t)count < source->page_rows && payload_bytes < source->page_bytes };

    if (ret_page->round_done) {
        position_finish_round(&source->at);
        source->round_left = 0;
        source->caught_up_us =
            source->asked_present_us > source->caught_up_us ? source->asked_present_us : source->caught_up_us;
        source->next_poll_us = 0;
        return true;
    }
    source->at.last_id = source->rows[count - 1].id;
    return source_ask_page(source, source->at.last_id, e);
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
static bool source_await(struct source *source, int64_t deadline_us, PGresult **ret_result, struct error *e)
{
    PGresult *result, *rest;

    for (;;) {
        if (!PQconsumeInput(source->conn))
            return source_lost(source, "connection lost", e);
        if (!PQisBusy(source->conn))
            break;
        if (monotonic_us() >= deadline_us)
            return true;
        sleep_until(deadline_us, source->conn);
    }
    result = PQgetResult(source->conn);
    while ((rest = PQgetResult(source->conn)))
        PQclear(rest);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        pg_error_from_result(result, e);
        PQclear(result);
        return false;
    }
    *ret_result = result;
    return true;
}

static bool source_take(struct source *source, PGresult *result, struct source_page *ret_page, struct error *e)
{
    bool ok;

    switch (source->state) {
    case SOURCE_ASKED_PRESENT:
        ok = source_took_present(source, result, e);
        break;
    case SOURCE_ASKED_FLUSHED:
        ok = source_took_flushed(source, result, e);
        break;
    case SOURCE_ASKED_PAGE:
        return source_took_page(source, result, ret_page, e); /* keeps the result */
    case SOURCE_QUIET:
    case SOURCE_UNFLUSHED:
    default:
        ok = error_set(e, ERROR_FATAL, "an answer without a question");
    }
    PQclear(result);
    return ok;
}

/* No query is under way: asks the next one when its time has come, else sleeps until then or the deadline. */
static bool source_ask_next(struct source *source, int64_t deadline_us, struct error *e)
{
    if (source->state == SOURCE_QUIET && position_in_round(&source->at))
        return source_ask_page(source, source->at.last_id, e);

    if (monotonic_us() < source->next_poll_us) {
        sleep_until(source->next_poll_us < deadline_us ? source->next_poll_us : deadline_us, source->conn);
        if (PQstatus(source->conn) != CONNECTION_OK)
            return source_lost(source, "connection lost", e);
        if (source_notified(source) && source->state == SOURCE_QUIET)
            source->next_poll_us = 0;
        if (monotonic_us() < source->next_poll_us)
            return true;
    }
    if (source->state == SOURCE_QUIET)
        return source_ask_present(source, e);
    if (monotonic_us() - source->unflushed_since_us < FLUSH_PATIENCE_US)
        return source_ask(source, &sql_flushed, NULL, 0, SOURCE_ASKED_FLUSHED, e);
    return source_ask(source, &sql_flush, NULL, 0, SOURCE_ASKED_FLUSHED, e);
}

bool source_next(struct source *source, int64_t wait_us, struct source_page *ret_page, struct error *e)
{
    int64_t deadline_us = monotonic_us() + wait_us;

    *ret_page = (struct source_page){ 0 };
    do {
        PGresult *result = NULL;

        if (source->state == SOURCE_QUIET || source->state == SOURCE_UNFLUSHED) {
            if (!source_ask_next(source, deadline_us, e))
                return false;
            continue;
        }
        if (!source_await(source, deadline_us, &result, e))
            return false;
        if (!result)
            return true;
        if (!source_take(source, result, ret_page, e))
            return false;
    } while (ret_page->count == 0 && !ret_page->round_done && monotonic_us() < deadline_us);
    return true;
}

void source_pump(struct source *source)
{
    if (source->state == SOURCE_ASKED_PAGE)
        PQconsumeInput(source->conn);
}

const struct position *source_position(const struct source *source)
{
    return &source->at;
}

uint64_t source_waiting_rows(const struct source *source)
{
    return source->round_left;
}

int64_t source_caught_up_us(const struct source *source)
{
    return source->caught_up_us;
}
