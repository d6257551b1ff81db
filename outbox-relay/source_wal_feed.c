#include "source_wal_feed.h"

#include "relay_sql.h"

#include <endian.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>

enum { COPY_SIGNATURE_BYTES = 11, COPY_HEADER_BYTES = 19, COPY_FIELD_BYTES = 6, CANCEL_WHY_MAX = 256, NUMBER_MAX = 24 };
static const char copy_signature[COPY_SIGNATURE_BYTES] = "PGCOPY\n\377\r\n";

enum feed_state { FEED_IDLE, FEED_STREAMING, FEED_PEEKING };

struct wal_feed {
    struct wal_feed_options options;
    char *publication; /* as the plugin wants it: a list of identifiers, so a quoted one */
    PGconn *sql, *stream;
    enum feed_state state;
    bool used;    /* the slot was read by a session of ours that may still be there */
    char *buffer; /* PQfreemem */
    int64_t peeked;
};

bool wal_feed_open(const struct wal_feed_options *options, struct wal_feed **ret_feed, struct error *e)
{
    CLEANUP(wal_feed_free) struct wal_feed *feed = xcalloc(1, sizeof *feed);
    char changes[NUMBER_MAX];

    feed->options = *options;
    feed->publication = mapping_quote_identifier(options->publication);
    snprintf(changes, sizeof changes, "%" PRId64, options->peek_changes);
    const char *const arguments[] = { options->slot, feed->publication, changes };
    if (!wal_connect(options->dsn, options->application_name, false, &feed->sql, e) ||
        !wal_query(feed->sql, &sql_wal_session, arguments, ARRAY_LEN(arguments), NULL, e))
        return false;
    *ret_feed = TAKE(feed);
    return true;
}

void wal_feed_free(struct wal_feed *feed)
{
    if (!feed)
        return;
    PQfreemem(feed->buffer);
    PQfinish(feed->stream);
    PQfinish(feed->sql);
    xfree(feed->publication);
    xfree(feed);
}

PGconn *wal_feed_sql(struct wal_feed *feed)
{
    return feed->sql;
}

bool wal_feed_streaming(const struct wal_feed *feed)
{
    return feed->state == FEED_STREAMING;
}

bool wal_feed_idle(const struct wal_feed *feed)
{
    return feed->state == FEED_IDLE;
}

int64_t wal_feed_peeked(const struct wal_feed *feed)
{
    return feed->peeked;
}

static bool feed_free_slot(struct wal_feed *feed, struct error *e)
{
    if (feed->used && !wal_slot_free(feed->sql, feed->options.slot, e))
        return false;
    feed->used = false;
    return true;
}

bool wal_feed_stream(struct wal_feed *feed, uint64_t lsn, bool large, struct error *e)
{
    CLEANUP(xfree) char *publication = mapping_quote_literal(feed->publication);
    CLEANUP(xfree) char *slot = mapping_quote_identifier(feed->options.slot);
    CLEANUP(xfree) char *command = NULL;
    char at[LSN_TEXT_MAX];

    if (!feed_free_slot(feed, e) ||
        !wal_connect(feed->options.dsn, feed->options.application_name, true, &feed->stream, e))
        return false;
    command =
        xasprintf("START_REPLICATION SLOT %s LOGICAL %s (proto_version '2', publication_names %s, binary 'true'%s)",
            slot, lsn_format(lsn, at), publication, large ? ", streaming 'on'" : "");

    CLEANUP(pg_result_clear) PGresult *result = PQexec(feed->stream, command);
    if (PQresultStatus(result) != PGRES_COPY_BOTH) {
        pg_error_from_result(result, e);
        PQfinish(TAKE(feed->stream));
        return false;
    }
    feed->state = FEED_STREAMING;
    return true;
}

bool wal_feed_peek(struct wal_feed *feed, struct error *e)
{
    if (!feed_free_slot(feed, e))
        return false;
    if (!PQsendQuery(feed->sql, sql_wal_peek.sql))
        return wal_lost(feed->sql, "cannot send a query", e);
    feed->peeked = -1; /* the answer to the COPY itself has not come */
    feed->state = FEED_PEEKING;
    return true;
}

/* Whatever the server still wants to say of the COPY does not matter. */
static void feed_cancel(struct wal_feed *feed)
{
    PGcancel *cancel = PQgetCancel(feed->sql);
    char why[CANCEL_WHY_MAX];
    PGresult *result;

    PQcancel(cancel, why, sizeof why);
    PQfreeCancel(cancel);
    while ((result = PQgetResult(feed->sql))) {
        if (PQresultStatus(result) == PGRES_COPY_OUT) {
            char *data;

            while (PQgetCopyData(feed->sql, &data, 0) > 0)
                PQfreemem(data);
        }
        PQclear(result);
    }
}

bool wal_feed_stop(struct wal_feed *feed, struct error *e)
{
    if (feed->state == FEED_PEEKING)
        feed_cancel(feed);
    if (feed->state == FEED_STREAMING) {
        PQfinish(TAKE(feed->stream));
        feed->used = true;
    }
    feed->state = FEED_IDLE;
    if (PQstatus(feed->sql) != CONNECTION_OK)
        return wal_lost(feed->sql, "connection lost", e);
    return feed_free_slot(feed, e);
}

/* ---- Reading ---- */

static void wait_readable(PGconn *conn, int64_t deadline_us)
{
    int64_t left_us = deadline_us - monotonic_us();
    struct timespec left = { .tv_sec = left_us / 1000000, .tv_nsec = left_us % 1000000 * 1000 };
    struct pollfd socket = { .fd = PQsocket(conn), .events = POLLIN };

    if (left_us > 0)
        ppoll(&socket, 1, &left, NULL);
}

/* What PQgetCopyData() says: > 0 a message is in feed->buffer, 0 the deadline came, -1 the end. -2 is an error. */
static int feed_read(struct wal_feed *feed, PGconn *conn, int64_t deadline_us, struct error *e)
{
    PQfreemem(feed->buffer);
    feed->buffer = NULL;
    for (;;) {
        int len = PQgetCopyData(conn, &feed->buffer, 1);

        if (len == -2)
            wal_lost(conn, "connection lost", e);
        if (len != 0)
            return len;
        if (!PQconsumeInput(conn)) {
            wal_lost(conn, "connection lost", e);
            return -2;
        }
        len = PQgetCopyData(conn, &feed->buffer, 1);
        if (len > 0)
            return len;
        if (len == 0 && monotonic_us() >= deadline_us)
            return 0;
        if (len == 0)
            wait_readable(conn, deadline_us);
    }
}

/* The COPY is over: true if it ended well. */
static bool feed_result(PGconn *conn, struct error *e)
{
    bool ok = true;
    PGresult *result;

    while ((result = PQgetResult(conn))) {
        ExecStatusType status = PQresultStatus(result);

        if (ok && status != PGRES_COMMAND_OK && status != PGRES_COPY_OUT && status != PGRES_TUPLES_OK)
            ok = pg_error_from_result(result, e);
        PQclear(result);
        if (status == PGRES_COPY_OUT)
            return true;
    }
    return ok;
}

static bool feed_next_streamed(struct wal_feed *feed, int64_t deadline_us, struct wal_item *ret_item, struct error *e)
{
    int len = feed_read(feed, feed->stream, deadline_us, e);
    struct pgoutput_frame frame;

    if (len == -1 && feed_result(feed->stream, e))
        return error_set(e, ERROR_TRANSIENT, "the server ended the replication");
    if (len < 0)
        return false;
    if (len == 0)
        return true;
    if (!pgoutput_read_frame((struct bytes){ feed->buffer, (size_t)len }, &frame, e))
        return false;
    *ret_item = (struct wal_item){ .kind = frame.keepalive ? WAL_ITEM_KEEPALIVE : WAL_ITEM_MESSAGE,
        .lsn = frame.lsn,
        .reply_wanted = frame.reply_requested,
        .data = frame.data };
    return true;
}

/* A row of COPY BINARY: the number of fields, then each with its length. The first comes with a header before it, the
 * last is a number of -1. */
static bool peeked_value(struct bytes row, bool first, struct bytes *ret_value, struct error *e)
{
    const char *data = row.data;
    uint16_t fields;
    uint32_t len;

    if (first && row.len >= COPY_HEADER_BYTES && memcmp(data, copy_signature, COPY_SIGNATURE_BYTES) == 0) {
        data += COPY_HEADER_BYTES;
        row.len -= COPY_HEADER_BYTES;
    }
    *ret_value = (struct bytes){ 0 };
    if (row.len < sizeof fields)
        return row.len == 0 || error_set(e, ERROR_INVALID, "a row of COPY is too short");
    memcpy(&fields, data, sizeof fields);
    if (be16toh(fields) == UINT16_MAX)
        return true;
    if (be16toh(fields) != 1 || row.len < COPY_FIELD_BYTES)
        return error_set(e, ERROR_INVALID, "a row of COPY has not the one field it should have");
    memcpy(&len, data + sizeof fields, sizeof len);
    if (be32toh(len) != row.len - COPY_FIELD_BYTES)
        return error_set(e, ERROR_INVALID, "a row of COPY has not the length it says");
    *ret_value = (struct bytes){ data + COPY_FIELD_BYTES, row.len - COPY_FIELD_BYTES };
    return true;
}

/* The server decodes all of a peek before it begins to answer. *ret_answered false: not before the deadline. */
static bool feed_await_peek(struct wal_feed *feed, int64_t deadline_us, bool *ret_answered, struct error *e)
{
    *ret_answered = false;
    while (PQisBusy(feed->sql)) {
        if (!PQconsumeInput(feed->sql))
            return wal_lost(feed->sql, "connection lost", e);
        if (!PQisBusy(feed->sql))
            break;
        if (monotonic_us() >= deadline_us)
            return true;
        wait_readable(feed->sql, deadline_us);
    }
    if (!feed_result(feed->sql, e)) {
        feed->state = FEED_IDLE;
        return false;
    }
    *ret_answered = true;
    feed->peeked = 0;
    return true;
}

static bool feed_next_peeked(struct wal_feed *feed, int64_t deadline_us, struct wal_item *ret_item, struct error *e)
{
    struct bytes value = { 0 };

    if (feed->peeked < 0) {
        bool answered;

        if (!feed_await_peek(feed, deadline_us, &answered, e))
            return false;
        if (!answered)
            return true;
    }
    while (!value.data) {
        int len = feed_read(feed, feed->sql, deadline_us, e);

        if (len == 0)
            return true;
        if (len == -1) {
            feed->state = FEED_IDLE;
            ret_item->kind = WAL_ITEM_END;
            return feed_result(feed->sql, e);
        }
        if (len < 0 || !peeked_value((struct bytes){ feed->buffer, (size_t)len }, feed->peeked == 0, &value, e))
            return false;
    }
    feed->peeked++;
    *ret_item = (struct wal_item){ .kind = WAL_ITEM_MESSAGE, .data = value };
    return true;
}

bool wal_feed_next(struct wal_feed *feed, int64_t deadline_us, struct wal_item *ret_item, struct error *e)
{
    *ret_item = (struct wal_item){ 0 };
    return feed->state == FEED_STREAMING ? feed_next_streamed(feed, deadline_us, ret_item, e)
                                         : feed_next_peeked(feed, deadline_us, ret_item, e);
}

bool wal_feed_confirm(struct wal_feed *feed, uint64_t lsn, struct error *e)
{
    char status[PGOUTPUT_STATUS_BYTES];

    pgoutput_write_status(lsn, now_us(), status);
    if (PQputCopyData(feed->stream, status, sizeof status) != 1 || PQflush(feed->stream) < 0)
        return wal_lost(feed->stream, "cannot confirm", e);
    return true;
}
