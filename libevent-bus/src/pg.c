/* pg.c -- pipeline and transactions.
 *
 * What is queued is written to libpq's buffer at once and remembered in `pending`; complete() closes it with a Sync and
 * reads one answer for each. The socket never blocks: while there is something to write, answers are read too, so that
 * neither side waits for the other with full buffers. Results are handed out only when all that was pending has
 * succeeded. */
#include "pg_private.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>

enum {
    CONNECT_TIMEOUT_MS = 5000,
    STATEMENT_TIMEOUT_MS = 10000,
    SERVER_GRACE_MS = 5000, /* beyond the statements' own time-outs the server counts as gone */
    STALE_READS_MAX = 64,   /* of what arrived while the connection was idle */
};

/* Outside sql/ because they are the protocol's words, not ours. */
static const struct pg_statement begin = { "event_bus_begin", "BEGIN ISOLATION LEVEL READ COMMITTED" };
static const struct pg_statement commit = { "event_bus_commit", "COMMIT" };
static const struct pg_statement rollback = { "event_bus_rollback", "ROLLBACK" };
static const struct pg_args no_args;

DEFINE_CLEANUP(PGresult *, PQclear)

/* ---- The connection ---- */

static void forget_pending(struct pg *pg)
{
    for (size_t i = 0; i < pg->pending_count; i++)
        PQclear(pg->pending[i].result);
    pg->pending_count = pg->queued = 0;
}

static void disconnect(struct pg *pg)
{
    forget_pending(pg);
    pg_prepared_clear(&pg->prepared);
    PQfinish(pg->conn);
    pg->conn = NULL;
}

/* What the server says without being asked: notices, and its goodbye when it ends an idle connection. */
static void hear_notice(void *context, const PGresult *result)
{
    struct pg *pg = context;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    pg->goodbye |= severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}

static bool make_connection(struct pg *pg, struct error *e)
{
    if (!pg_connect(&pg->options, &pg->conn, e))
        return false;
    pg->goodbye = false;
    PQsetNoticeReceiver(pg->conn, hear_notice, pg);
    return true;
}

/* An idle connection has nothing to read, unless the server ends it (or sends a notice or notification). */
static bool is_stale(struct pg *pg)
{
    for (int reads = 0; reads < STALE_READS_MAX; reads++) {
        struct pollfd fd = { .fd = PQsocket(pg->conn), .events = POLLIN };
        if (poll(&fd, 1, 0) <= 0)
            break;
        if (!PQconsumeInput(pg->conn) || PQstatus(pg->conn) != CONNECTION_OK)
            return true;
        (void)PQisBusy(pg->conn); /* parses what was read */
    }
    return pg->goodbye;
}

/* Only where nothing can be lost: outside a transaction, with nothing pending. */
static bool ensure_connected(struct pg *pg, struct error *e)
{
    assert(pg->tx == PG_TX_NONE && pg->pending_count == 0);
    if (pg->conn && is_stale(pg))
        disconnect(pg);
    return pg->conn || make_connection(pg, e);
}

bool pg_open(const struct pg_options *options, struct pg **ret_pg, struct error *e)
{
    CLEANUP(pg_free) struct pg *pg = xcalloc(1, sizeof *pg);
    pg->dsn = xstrdup(options->dsn);
    pg->application_name = xstrdup(options->application_name ? options->application_name : "");
    pg->options = (struct pg_options){
        .dsn = pg->dsn,
        .application_name = pg->application_name,
        .connect_timeout_ms = options->connect_timeout_ms ? options->connect_timeout_ms : CONNECT_TIMEOUT_MS,
        .statement_timeout_ms = options->statement_timeout_ms ? options->statement_timeout_ms : STATEMENT_TIMEOUT_MS,
    };
    if (!make_connection(pg, e))
        return false;
    *ret_pg = TAKE(pg);
    return true;
}

void pg_free(struct pg *pg)
{
    if (!pg)
        return;
    disconnect(pg);
    pg_args_release(&pg->args);
    xfree(pg->dsn);
    xfree(pg->application_name);
    xfree(pg);
}

PGconn *pg_native(struct pg *pg)
{
    return pg->conn;
}

/* ---- Failing ---- */

/* Remembers *e as what doomed the transaction, if there is one. */
static bool fail(struct pg *pg, const struct error *e)
{
    if (pg->tx != PG_TX_NONE) {
        pg->tx = PG_TX_DOOMED;
        pg->failure = *e;
    }
    return false;
}

/* A statement that could not even be queued. */
static bool unsendable(struct pg *pg, struct error *e)
{
    const char *message = PQerrorMessage(pg->conn);
    error_set(e, ERROR_TRANSIENT, "%.*s", (int)strcspn(message, "\n"), message);
    disconnect(pg);
    return fail(pg, e);
}

/* ---- Queueing ---- */

static void push(struct pg *pg, struct pg_pending pending)
{
    assert(pg->pending_count < PG_PENDING_MAX);
    pg->pending[pg->pending_count++] = pending;
}

static bool push_sync(struct pg *pg)
{
    push(pg, (struct pg_pending){ .kind = PG_PENDING_SYNC, .name = "sync" });
    return PQpipelineSync(pg->conn);
}

static int send_prepared(PGconn *conn, const char *name, const struct pg_args *args)
{
    const char *values[PG_ARGS_MAX];
    int formats[PG_ARGS_MAX];
    for (unsigned i = 0; i < args->count; i++) {
        values[i] = args->lengths[i] < 0 ? NULL : args->data + args->offsets[i];
        formats[i] = 1;
    }
    return PQsendQueryPrepared(conn, name, (int)args->count, values, args->lengths, formats, 1);
}

static bool queue(struct pg *pg, const struct pg_statement *statement, enum pg_pending_kind kind,
    const struct pg_args *args, struct pg_result **ret_result, struct error *e)
{
    if (args->too_large) {
        error_set(e, ERROR_INVALID, "%s: arguments of more than %d bytes", statement->name, PG_ARGS_BYTES_MAX);
        return fail(pg, e);
    }
    struct pg_prepared *prepared = pg_prepared_find(&pg->prepared, statement, args, e);
    if (!prepared)
        return fail(pg, e);
    if (prepared->state == PG_UNPREPARED) {
        if (!PQsendPrepare(pg->conn, statement->name, statement->sql, (int)args->count, args->types))
            return unsendable(pg, e);
        prepared->state = PG_PREPARE_QUEUED;
        push(pg, (struct pg_pending){ .kind = PG_PENDING_PREPARE, .name = statement->name, .prepared = prepared });
    }
    if (!send_prepared(pg->conn, statement->name, args))
        return unsendable(pg, e);
    push(pg, (struct pg_pending){ .kind = kind, .name = statement->name, .ret_result = ret_result });
    return true;
}

/* ---- Reading the answers ---- */

/* One step of the conversation: writes what can be written, waits, reads what is there. false: the time is over. */
static bool converse(PGconn *conn, int64_t deadline_us)
{
    int64_t left_us = deadline_us - monotonic_us();
    if (left_us <= 0)
        return false;
    bool unsent = PQflush(conn) == 1;
    struct pollfd fd = { .fd = PQsocket(conn), .events = (short)(POLLIN | (unsent ? POLLOUT : 0)) };
    int64_t wait_ms = left_us / 1000 + 1;
    int ready = poll(&fd, 1, wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms);
    if (ready < 0)
        return errno == EINTR;
    if (fd.revents & ~POLLOUT)
        PQconsumeInput(conn); /* a failure leaves the connection bad; what came before it can still be parsed */
    return true;
}

/* false: the connection is lost. *ret_result is NULL between the answers of two statements. */
static bool next_result(PGconn *conn, int64_t deadline_us, PGresult **ret_result)
{
    while (PQisBusy(conn))
        if (PQstatus(conn) != CONNECTION_OK || !converse(conn, deadline_us))
            return false;
    *ret_result = PQgetResult(conn);
    return true;
}

struct collecting {
    int64_t deadline_us;
    struct error first; /* the first error; what follows it was skipped by the server */
    const struct pg_pending *first_at;
};

static void note_error(struct collecting *collecting, const struct pg_pending *at, const struct error *e)
{
    if (collecting->first.kind != ERROR_NONE)
        return;
    error_set(&collecting->first, e->kind, "%s: %s", at->name, e->message);
    collecting->first.code = e->code;
    collecting->first_at = at;
}

/* Puts the answer where it belongs. false: the connection cannot be used any longer. */
static bool take_result(struct collecting *collecting, struct pg_pending *at, PGresult **result)
{
    struct error e = { 0 };
    bool done = false;
    switch (PQresultStatus(*result)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        done = true;
        if (at->kind == PG_PENDING_COMMIT && strcmp(PQcmdStatus(*result), "COMMIT") != 0) {
            error_set(&e, ERROR_FATAL, "the server answered %s", PQcmdStatus(*result));
            note_error(collecting, at, &e);
        }
        if (at->ret_result)
            at->result = TAKE(*result);
        break;
    case PGRES_PIPELINE_ABORTED:
        break;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        error_set(&e, ERROR_FATAL, "COPY cannot travel in a pipeline");
        note_error(collecting, at, &e);
        return false;
    default:
        if (!PQresultErrorField(*result, PG_DIAG_SQLSTATE))
            return false; /* libpq says that the connection is lost; it is not this statement's answer */
        pg_error_from_result(*result, &e);
        note_error(collecting, at, &e);
        break;
    }
    if (at->kind == PG_PENDING_PREPARE)
        at->prepared->state = done ? PG_PREPARED : PG_UNPREPARED;
    return true;
}

/* Reads the answer to one pending entry. false: the connection is lost. */
static bool collect(struct pg *pg, struct collecting *collecting, struct pg_pending *at)
{
    CLEANUP(PQclear) PGresult *result = NULL;
    if (!next_result(pg->conn, collecting->deadline_us, &result))
        return false;
    if (!result)
        return false;
    if (PQresultStatus(result) == PGRES_PIPELINE_SYNC)
        return at->kind == PG_PENDING_SYNC;
    if (!take_result(collecting, at, &result) || at->kind == PG_PENDING_SYNC)
        return false;
    CLEANUP(PQclear) PGresult *none = NULL;
    return next_result(pg->conn, collecting->deadline_us, &none) && !none;
}

static void hand_out_results(struct pg *pg)
{
    for (size_t i = 0; i < pg->pending_count; i++)
        if (pg->pending[i].ret_result)
            *pg->pending[i].ret_result = pg_result_new(TAKE(pg->pending[i].result));
}

/* Whether the lost connection may have taken a commit with it. An error in a statement means that what follows, and so
 * the commit, was skipped. */
static bool commit_unknown(const struct pg *pg, const struct collecting *collecting)
{
    bool commits = pg->tx == PG_TX_NONE; /* statements outside a transaction are committed by the Sync */
    for (size_t i = 0; i < pg->pending_count; i++)
        commits |= pg->pending[i].kind == PG_PENDING_COMMIT;
    const struct pg_pending *at = collecting->first_at;
    return commits && (!at || at->kind == PG_PENDING_COMMIT || at->kind == PG_PENDING_SYNC);
}

static bool lost(struct pg *pg, const struct collecting *collecting, struct error *e)
{
    bool unknown = commit_unknown(pg, collecting);
    bool in_time = monotonic_us() < collecting->deadline_us;
    if (collecting->first.kind != ERROR_NONE)
        *e = collecting->first;
    else
        error_set(e, ERROR_TRANSIENT, in_time ? "connection to Postgres lost" : "Postgres does not answer");
    if (unknown) {
        e->kind = ERROR_TRANSIENT;
        e->code = PG_CODE_COMMIT_UNKNOWN;
    }
    disconnect(pg);
    return fail(pg, e);
}

/* Closes the pipeline and reads all answers. Afterwards nothing is pending. */
static bool complete(struct pg *pg, struct error *e)
{
    int64_t statements_ms = (int64_t)pg->pending_count * pg->options.statement_timeout_ms;
    struct collecting collecting = { .deadline_us = monotonic_us() + (statements_ms + SERVER_GRACE_MS) * 1000 };
    if (!push_sync(pg))
        return lost(pg, &collecting, e);
    for (size_t i = 0; i < pg->pending_count; i++)
        if (!collect(pg, &collecting, &pg->pending[i]))
            return lost(pg, &collecting, e);
    bool succeeded = collecting.first.kind == ERROR_NONE;
    if (succeeded)
        hand_out_results(pg);
    forget_pending(pg);
    if (succeeded)
        return true;
    *e = collecting.first;
    return fail(pg, e);
}

/* ---- Transactions and statements ---- */

bool pg_begin(struct pg *pg, struct error *e)
{
    assert(pg->tx == PG_TX_NONE || pg->tx == PG_TX_DOOMED);
    if (pg->tx == PG_TX_DOOMED)
        pg_rollback(pg);
    if (pg->pending_count && !pg_wait(pg, e))
        return false;
    pg_args_clear(&pg->args);
    if (!ensure_connected(pg, e))
        return false;
    pg->tx = PG_TX_BEGUN;
    return true;
}

static bool ready_to_send(struct pg *pg, struct error *e)
{
    switch (pg->tx) {
    case PG_TX_NONE:
        if (pg->pending_count == 0)
            return ensure_connected(pg, e);
        break;
    case PG_TX_BEGUN:
        pg->tx = PG_TX_OPEN;
        return queue(pg, &begin, PG_PENDING_STATEMENT, &no_args, NULL, e);
    case PG_TX_OPEN:
        break;
    case PG_TX_DOOMED:
        *e = pg->failure;
        return false;
    }
    return pg->queued < PG_PIPELINE_MAX || pg_wait(pg, e);
}

bool pg_send(struct pg *pg, const struct pg_statement *statement, struct pg_result **ret_result, struct error *e)
{
    if (ret_result)
        *ret_result = NULL;
    bool sent = ready_to_send(pg, e) && queue(pg, statement, PG_PENDING_STATEMENT, &pg->args, ret_result, e);
    pg->queued += sent;
    pg_args_clear(&pg->args);
    return sent;
}

bool pg_wait(struct pg *pg, struct error *e)
{
    if (pg->tx == PG_TX_DOOMED) {
        *e = pg->failure;
        return false;
    }
    return pg->pending_count == 0 || complete(pg, e);
}

bool pg_query(struct pg *pg, const struct pg_statement *statement, struct pg_result **ret_result, struct error *e)
{
    return pg_send(pg, statement, ret_result, e) && pg_wait(pg, e);
}

bool pg_commit(struct pg *pg, struct error *e)
{
    assert(pg->tx != PG_TX_NONE);
    if (pg->tx == PG_TX_DOOMED) {
        *e = pg->failure;
        return false;
    }
    bool nothing_sent = pg->tx == PG_TX_BEGUN;
    if (!nothing_sent && (!queue(pg, &commit, PG_PENDING_COMMIT, &no_args, NULL, e) || !complete(pg, e)))
        return false;
    pg->tx = PG_TX_NONE;
    return true;
}

/* What is pending has partly left already: its answers are read and dropped. */
static bool undo(struct pg *pg)
{
    struct error ignored;
    if (pg->tx == PG_TX_NONE) /* a Sync would commit what was sent outside a transaction */
        return false;
    for (size_t i = 0; i < pg->pending_count; i++)
        pg->pending[i].ret_result = NULL;
    if (pg->pending_count && !push_sync(pg)) /* an error before it must not make the server skip the ROLLBACK */
        return false;
    if (!queue(pg, &rollback, PG_PENDING_STATEMENT, &no_args, NULL, &ignored))
        return false;
    (void)complete(pg, &ignored); /* fails if one of the statements did */
    return pg->conn && PQtransactionStatus(pg->conn) == PQTRANS_IDLE;
}

void pg_rollback(struct pg *pg)
{
    pg_args_clear(&pg->args);
    bool idle = pg->pending_count == 0 && PQtransactionStatus(pg->conn) == PQTRANS_IDLE;
    if (pg->conn && !idle && !undo(pg))
        disconnect(pg); /* the server rolls back by itself */
    pg->tx = PG_TX_NONE;
    error_clear(&pg->failure);
}
