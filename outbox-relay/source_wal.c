/* The log as a source. The position is a place in it: where a commit record begins, and how many rows of that
 * transaction are published; rows of one transaction may so travel in many Kafka transactions, and none is held in
 * memory as a whole. The slot moves only when a position is committed in Kafka, so it is never past the position.
 *
 * A transaction is sent by the server when it is committed (from B to C). A large one may be sent before that, in parts
 * (S to E); it waits in a file and is read from there when its commit (c) comes. */
#include "source_wal.h"

#include "log.h"
#include "relay_sql.h"
#include "source_wal_feed.h"
#include "source_wal_spill.h"

#include <inttypes.h>

enum {
    WAL_SPILLS_MAX = 64, /* large transactions at the same time; more: the server keeps them until they are committed */
    STATUS_EVERY_US = 1000000,
    CONFIRM_EVERY_US = 5000000, /* well below wal_sender_timeout */
    STORE_EVERY_US = 10000000,
    STORE_BYTES_MAX = 16 * 1024 * 1024, /* of log without rows, before the position is stored nevertheless */
    BUSY_ROWS = 200,                    /* so many rows in a Kafka transaction, and late: do not hurry its commit */
    BUSY_LATE_US = 50000,
    STREAM_PATIENCE_US = 5000000, /* before a stream that falls behind is given up for peeking */
};

/* Whose rows are being read: between B and C, or from a file. */
struct wal_transaction {
    bool open;
    uint64_t commit_lsn, end_lsn; /* end_lsn: of a file's */
    uint64_t index;               /* rows so far, published before or not */
    int64_t commit_time_us;
};

struct wal {
    struct source base; /* first */
    struct source_options options;
    struct wal_feed *feed;
    struct wal_table table;
    struct wal_relation relation; /* oid 0: not described yet */
    struct pgoutput_message message;

    struct position at;      /* of what was handed out */
    struct position page_at; /* where the page begins that was handed out last */
    uint64_t committed_lsn, committed_index;
    bool store_now, no_spills, peek_was_full;
    uint64_t peek_end_lsn;                                   /* a peek that was not full has seen all before it */
    int64_t stored_us, confirmed_us, streaming_us, asked_us; /* monotonic: last time */

    struct wal_transaction transaction;
    bool in_stream;
    uint32_t stream_xid;
    struct wal_spill *spills[WAL_SPILLS_MAX];
    size_t spill_count;
    struct wal_spill *replay; /* its commit has come, its rows are being handed out */

    struct arena *arena; /* the page's */
    struct source_row *rows;
    size_t count, rows_since_commit;
    int64_t page_rows, page_bytes; /* page_bytes: so far */

    uint64_t received_lsn;              /* the server has sent so much */
    struct wal_slot slot;               /* as last heard */
    bool asking;                        /* sql/wal_slot is under way */
    uint64_t goal_lsn;                  /* 0: none; when all before it is handed out, … */
    int64_t asked_at_us, goal_asked_us; /* … nothing is missing that was committed before this (now_us()) */
    int64_t caught_up_us;
};

static struct wal *wal_of(struct source *source)
{
    return (struct wal *)source;
}

/* ---- Life ---- */

static const struct source_ops wal_ops;

bool source_wal_open(const struct source_options *options, struct source **ret_source, struct error *e)
{
    struct wal *wal = xcalloc(1, sizeof *wal);
    CLEANUP(source_free) struct source *source = &wal->base;
    const struct wal_feed_options feed = { .dsn = options->dsn,
        .application_name = options->application_name,
        .slot = options->slot,
        .publication = options->publication,
        .peek_changes = options->wal_peek_changes };

    wal->base.ops = &wal_ops;
    wal->options = *options;
    wal->page_rows = options->page_rows;
    wal->rows = xcalloc((size_t)options->page_rows, sizeof *wal->rows);
    wal->arena = arena_new();
    wal->caught_up_us = now_us();
    position_init(&wal->at);
    position_init(&wal->page_at);
    if (!wal_feed_open(&feed, &wal->feed, e) || !wal_table_read(wal_feed_sql(wal->feed), options, &wal->table, e))
        return false;
    *ret_source = TAKE(source);
    return true;
}

static void wal_drop_spills(struct wal *wal)
{
    for (size_t i = 0; i < wal->spill_count; i++)
        wal_spill_free(wal->spills[i]);
    wal->spill_count = 0;
    wal_spill_free(wal->replay);
    wal->replay = NULL;
}

static void wal_free(struct source *source)
{
    struct wal *wal = wal_of(source);

    wal_drop_spills(wal);
    wal_feed_free(wal->feed);
    wal_table_release(&wal->table);
    position_release(&wal->at);
    position_release(&wal->page_at);
    arena_free(wal->arena);
    xfree(wal->rows);
    xfree(wal);
}

static bool wal_identify(struct source *source, struct position *position, struct error *e)
{
    struct wal *wal = wal_of(source);
    const bool first = position->commit_lsn == 0;
    char at[LSN_TEXT_MAX];
    bool made;

    if (!wal_slot_prepare(wal_feed_sql(wal->feed), &wal->options, position, &made, e))
        return false;
    if (first)
        log_info("source %s: %s slot %s: published is what commits from %s on", wal->options.name,
            made ? "made" : "found", wal->options.slot, lsn_format(position->commit_lsn, at));
    wal->store_now = first;
    return true;
}

static bool wal_stop_feed(struct wal *wal, struct error *e)
{
    wal_drop_spills(wal);
    wal->transaction = (struct wal_transaction){ 0 };
    wal->in_stream = false;
    wal->relation.oid = 0;
    while (wal->asking) { /* its answer is not needed any more */
        PGresult *result = PQgetResult(wal_feed_sql(wal->feed));

        wal->asking = result != NULL;
        PQclear(result);
    }
    return wal_feed_stop(wal->feed, e);
}

static bool wal_resume(struct source *source, const struct position *position, struct error *e)
{
    struct wal *wal = wal_of(source);

    position_copy(position, &wal->at);
    wal->committed_lsn = position->commit_lsn;
    wal->committed_index = position->commit_index;
    wal->peek_was_full = true;
    wal->rows_since_commit = 0;
    return wal_stop_feed(wal, e);
}

static void wal_limit(struct source *source, int64_t rows)
{
    struct wal *wal = wal_of(source);

    wal->page_rows = rows > 0 && rows < wal->options.page_rows ? rows : wal->options.page_rows;
}

/* ---- Which way to read ---- */

static uint64_t wal_behind(const struct wal *wal, uint64_t lsn)
{
    return wal->slot.flush_lsn > lsn ? wal->slot.flush_lsn - lsn : 0;
}

static bool wal_begin_peek(struct wal *wal, struct error *e)
{
    if (wal->slot.confirmed_lsn < wal->committed_lsn &&
        !wal_slot_advance(wal_feed_sql(wal->feed), wal->options.slot, wal->committed_lsn, e))
        return false;
    wal->peek_end_lsn = wal->slot.flush_lsn;
    wal->relation.oid = 0;
    return wal_feed_peek(wal->feed, e);
}

static bool wal_begin_stream(struct wal *wal, struct error *e)
{
    wal->relation.oid = 0;
    wal->received_lsn = wal->at.commit_lsn;
    wal->streaming_us = wal->confirmed_us = wal->asked_us = monotonic_us();
    return wal_feed_stream(wal->feed, wal->at.commit_lsn, !wal->no_spills, e);
}

/* A backlog is peeked, page by page, the slot moving after each; the rest is streamed. */
static bool wal_begin_feed(struct wal *wal, struct error *e)
{
    const int64_t asked_us = now_us();

    if (!wal_slot_read(wal_feed_sql(wal->feed), wal->options.slot, &wal->slot, e))
        return false;
    if (!wal->slot.exists)
        return error_set(e, ERROR_FATAL, "slot %.63s is missing: somebody dropped it", wal->options.slot);
    wal->goal_lsn = wal->slot.flush_lsn;
    wal->goal_asked_us = asked_us;
    if (wal->peek_was_full && wal->page_rows == wal->options.page_rows &&
        wal_behind(wal, wal->at.commit_lsn) > (uint64_t)wal->options.wal_catch_up_bytes)
        return wal_begin_peek(wal, e);
    return wal_begin_stream(wal, e);
}

static void wal_end_peek(struct wal *wal)
{
    wal->peek_was_full = wal_feed_peeked(wal->feed) >= wal->options.wal_peek_changes;
    if (!wal->peek_was_full && wal->peek_end_lsn > wal->at.commit_lsn) {
        wal->at.commit_lsn = wal->peek_end_lsn;
        wal->at.commit_index = 0;
    }
}

/* ---- How far the server is ---- */

static void wal_check_caught_up(struct wal *wal)
{
    if (wal->goal_lsn == 0 || wal->at.commit_lsn < wal->goal_lsn)
        return;
    if (wal->goal_asked_us > wal->caught_up_us)
        wal->caught_up_us = wal->goal_asked_us;
    wal->goal_lsn = 0;
}

static bool wal_took_status(struct wal *wal, const PGresult *result, struct error *e)
{
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        return pg_error_from_result(result, e);
    if (!wal_slot_take(result, wal->options.slot, &wal->slot, e))
        return false;
    if (!wal->slot.exists)
        return error_set(e, ERROR_FATAL, "slot %.63s is missing: somebody dropped it", wal->options.slot);
    if (wal->goal_lsn == 0) {
        wal->goal_lsn = wal->slot.flush_lsn;
        wal->goal_asked_us = wal->asked_at_us;
    }
    return true;
}

/* While streaming the other connection is free: now and then it asks how far the server is. Nothing here waits. */
static bool wal_watch(struct wal *wal, struct error *e)
{
    PGconn *sql = wal_feed_sql(wal->feed);
    bool ok = true;

    if (!wal_feed_streaming(wal->feed))
        return true;
    if (!wal->asking && monotonic_us() - wal->asked_us >= STATUS_EVERY_US) {
        if (!PQsendQueryParams(sql, sql_wal_slot.sql, 1, NULL, &wal->options.slot, NULL, NULL, 0))
            return wal_lost(sql, "cannot send a query", e);
        wal->asked_us = monotonic_us();
        wal->asked_at_us = now_us();
        wal->asking = true;
    }
    if (wal->asking && !PQconsumeInput(sql))
        return wal_lost(sql, "connection lost", e);
    while (wal->asking && ok && !PQisBusy(sql)) {
        CLEANUP(pg_result_clear) PGresult *result = PQgetResult(sql);

        wal->asking = result != NULL;
        ok = !result || wal_took_status(wal, result, e);
    }
    wal_check_caught_up(wal);
    return ok;
}

static bool wal_confirm(struct wal *wal, bool now, struct error *e)
{
    if (!wal_feed_streaming(wal->feed) || (!now && monotonic_us() - wal->confirmed_us < CONFIRM_EVERY_US))
        return true;
    wal->confirmed_us = monotonic_us();
    return wal_feed_confirm(wal->feed, wal->committed_lsn, e);
}

/* ---- Large transactions on their way ---- */

static struct wal_spill **wal_find_spill(struct wal *wal, uint32_t xid)
{
    for (size_t i = 0; i < wal->spill_count; i++)
        if (wal_spill_xid(wal->spills[i]) == xid)
            return &wal->spills[i];
    return NULL;
}

static struct wal_spill *wal_take_spill(struct wal *wal, struct wal_spill **place)
{
    struct wal_spill *spill = *place;

    *place = wal->spills[--wal->spill_count];
    return spill;
}

/* Without files the server keeps large transactions until they are committed, on its own disk. */
static bool wal_do_without_spills(struct wal *wal, const char *why, struct error *e)
{
    log_warn("source %s: %s; large transactions are read only once they are committed", wal->options.name, why);
    error_clear(e);
    wal->no_spills = true;
    return wal_stop_feed(wal, e) && wal_begin_stream(wal, e);
}

static bool wal_spill_message(struct wal *wal, struct bytes data, struct error *e)
{
    struct wal_spill **place = wal_find_spill(wal, wal->stream_xid);

    if (!place && wal->spill_count == WAL_SPILLS_MAX)
        return wal_do_without_spills(wal, "too many large transactions at once", e);
    if (!place) {
        place = &wal->spills[wal->spill_count];
        if (!wal_spill_open(wal->options.wal_spill_folder, wal->stream_xid, place, e))
            return wal_do_without_spills(wal, e->message, e);
        wal->spill_count++;
    }
    return wal_spill_add(*place, data, e) || wal_do_without_spills(wal, e->message, e);
}

static bool wal_stream_aborted(struct wal *wal, const struct pgoutput_message *message, struct error *e)
{
    struct wal_spill **place = wal_find_spill(wal, message->xid);

    if (!place)
        return true;
    if (message->subxid != message->xid)
        return wal_spill_abort(*place, message->subxid, e);
    wal_spill_free(wal_take_spill(wal, place));
    return true;
}

/* ---- Transactions ---- */

static void wal_begin_transaction(struct wal *wal, const struct pgoutput_message *message)
{
    wal->transaction = (struct wal_transaction){ .open = true,
        .commit_lsn = message->commit_lsn,
        .end_lsn = message->end_lsn,
        .commit_time_us = message->commit_time_us };
    if (message->commit_lsn >= wal->at.commit_lsn) /* all before it has been handed out, it not yet */
        wal->caught_up_us = message->commit_time_us < now_us() ? message->commit_time_us : now_us();
}

static void wal_end_transaction(struct wal *wal, uint64_t end_lsn)
{
    wal->transaction.open = false;
    if (end_lsn > wal->at.commit_lsn) {
        wal->at.commit_lsn = end_lsn;
        wal->at.commit_index = 0;
    }
}

static bool wal_stream_committed(struct wal *wal, const struct pgoutput_message *message, struct error *e)
{
    struct wal_spill **place = wal_find_spill(wal, message->xid);

    wal_begin_transaction(wal, message);
    if (!place) { /* it changed nothing that we want */
        wal_end_transaction(wal, message->end_lsn);
        return true;
    }
    wal->replay = wal_take_spill(wal, place);
    return wal_spill_rewind(wal->replay, e);
}

static bool same_name(struct bytes name, const char *wanted)
{
    return name.len == strlen(wanted) && memcmp(name.data, wanted, name.len) == 0;
}

/* The table may have been made anew since: then it is known by its name. */
static bool wal_take_relation(struct wal *wal, const struct pgoutput_message *message, struct error *e)
{
    if (message->relation != wal->table.oid &&
        (!same_name(message->schema, wal->table.schema) || !same_name(message->name, wal->table.name)))
        return true;
    return wal_relation_read(message, wal->options.mapping, wal->table.types, wal->table.type_count, &wal->relation, e);
}

static bool wal_take_row(struct wal *wal, const struct pgoutput_message *message, struct error *e)
{
    struct wal_transaction *transaction = &wal->transaction;
    struct source_row *row = &wal->rows[wal->count];
    bool published;

    if (message->relation != wal->relation.oid)
        return message->relation != wal->table.oid ||
               error_set(e, ERROR_INVALID, "a row of the table came before its columns were told");
    if (!transaction->open)
        return error_set(e, ERROR_INVALID, "a row came outside of a transaction");
    published = transaction->commit_lsn < wal->at.commit_lsn ||
                (transaction->commit_lsn == wal->at.commit_lsn && transaction->index < wal->at.commit_index);
    transaction->index++;
    if (published)
        return true;
    if (!wal_row_read(message, &wal->relation, wal->options.mapping, wal->arena, row, e))
        return false;
    wal->at.commit_lsn = transaction->commit_lsn;
    wal->at.commit_index = transaction->index;
    row->seq = ++wal->at.published_rows;
    wal->page_bytes += (int64_t)row->payload.len;
    wal->count++;
    return true;
}

/* ---- Messages ---- */

static bool wal_take_message(struct wal *wal, struct bytes data, struct error *e)
{
    struct pgoutput_message *message = &wal->message;

    if (!pgoutput_parse(data, wal->in_stream, message, e))
        return false;
    switch (message->kind) {
    case PGOUTPUT_BEGIN:
        wal_begin_transaction(wal, message);
        return true;
    case PGOUTPUT_COMMIT:
        wal_end_transaction(wal, message->end_lsn);
        return true;
    case PGOUTPUT_STREAM_START:
        wal->in_stream = true;
        wal->stream_xid = message->xid;
        return true;
    case PGOUTPUT_STREAM_STOP:
        wal->in_stream = false;
        return true;
    case PGOUTPUT_STREAM_COMMIT:
        return wal_stream_committed(wal, message, e);
    case PGOUTPUT_STREAM_ABORT:
        return wal_stream_aborted(wal, message, e);
    case PGOUTPUT_RELATION:
        return wal->in_stream ? wal_spill_message(wal, data, e) : wal_take_relation(wal, message, e);
    case PGOUTPUT_INSERT:
        return wal->in_stream ? wal_spill_message(wal, data, e) : wal_take_row(wal, message, e);
    case PGOUTPUT_ORIGIN:
    case PGOUTPUT_MESSAGE:
    case PGOUTPUT_TYPE:
    case PGOUTPUT_UPDATE:
    case PGOUTPUT_DELETE:
    case PGOUTPUT_TRUNCATE:
    default:
        return true;
    }
}

/* One message of the file; after the last, the transaction is over. */
static bool wal_replay_next(struct wal *wal, struct error *e)
{
    struct pgoutput_message *message = &wal->message;
    struct bytes data;

    if (!wal_spill_next(wal->replay, &data, e))
        return false;
    if (!data.data) {
        wal_spill_free(TAKE(wal->replay));
        wal_end_transaction(wal, wal->transaction.end_lsn);
        return true;
    }
    if (!pgoutput_parse(data, true, message, e))
        return false;
    if (message->kind == PGOUTPUT_RELATION)
        return wal_take_relation(wal, message, e);
    return wal_spill_aborted(wal->replay, message->xid) || wal_take_row(wal, message, e);
}

static bool wal_take_item(struct wal *wal, const struct wal_item *item, struct error *e)
{
    if (item->lsn > wal->received_lsn)
        wal->received_lsn = item->lsn;
    switch (item->kind) {
    case WAL_ITEM_MESSAGE:
        return wal_take_message(wal, item->data, e);
    case WAL_ITEM_KEEPALIVE:
        if (!wal->transaction.open && item->lsn > wal->at.commit_lsn) {
            wal->at.commit_lsn = item->lsn;
            wal->at.commit_index = 0;
        }
        wal_check_caught_up(wal);
        return wal_confirm(wal, item->reply_wanted, e);
    case WAL_ITEM_END:
        wal_end_peek(wal);
        return true;
    case WAL_ITEM_NONE:
    default:
        return true;
    }
}

/* ---- Pages ---- */

static bool wal_page_full(const struct wal *wal)
{
    return (int64_t)wal->count >= wal->page_rows || wal->page_bytes >= wal->options.page_bytes;
}

/* Fills the page until it is full, the feed has no more at once, or, while the page is empty, the deadline. */
static bool wal_fill_page(struct wal *wal, int64_t deadline_us, struct error *e)
{
    while (!wal_page_full(wal)) {
        struct wal_item item;

        if (wal->replay) {
            if (!wal_replay_next(wal, e))
                return false;
            continue;
        }
        if (!wal_feed_next(wal->feed, wal->count > 0 ? 0 : deadline_us, &item, e) || !wal_take_item(wal, &item, e))
            return false;
        if (item.kind == WAL_ITEM_NONE || item.kind == WAL_ITEM_END)
            return true;
        if (item.kind == WAL_ITEM_KEEPALIVE && wal->count == 0 && monotonic_us() >= deadline_us)
            return true;
    }
    return true;
}

/* Is the position to be stored although no row was read? Then the server can let go of the log. */
static bool wal_store_due(struct wal *wal)
{
    if (wal->at.commit_lsn <= wal->committed_lsn && !wal->store_now)
        return false;
    return wal->store_now || monotonic_us() - wal->stored_us >= STORE_EVERY_US ||
           wal->at.commit_lsn - wal->committed_lsn >= STORE_BYTES_MAX;
}

/* A stream that falls behind is left for peeking, which is faster. Not while a file is replayed: that is fast. */
static bool wal_reconsider(struct wal *wal, struct error *e)
{
    if (!wal_feed_streaming(wal->feed) || wal->replay || wal->page_rows < wal->options.page_rows ||
        monotonic_us() - wal->streaming_us < STREAM_PATIENCE_US ||
        wal_behind(wal, wal->received_lsn) <= 2 * (uint64_t)wal->options.wal_catch_up_bytes)
        return true;
    log_info("source %s: the stream is %" PRIu64 " bytes behind: peeking instead", wal->options.name,
        wal_behind(wal, wal->received_lsn));
    wal->peek_was_full = true;
    return wal_stop_feed(wal, e);
}

static bool wal_next(struct source *source, int64_t wait_us, struct source_page *ret_page, struct error *e)
{
    struct wal *wal = wal_of(source);
    const int64_t deadline_us = monotonic_us() + wait_us;
    bool busy;

    *ret_page = (struct source_page){ 0 };
    wal->count = 0;
    wal->page_bytes = 0;
    arena_clear(wal->arena);
    position_copy(&wal->at, &wal->page_at);
    if (!wal_watch(wal, e) || !wal_confirm(wal, false, e) || !wal_reconsider(wal, e))
        return false;
    if (wal_feed_idle(wal->feed) && !wal->replay) {
        if (wal->at.commit_lsn != wal->committed_lsn || wal->at.commit_index != wal->committed_index) {
            ret_page->store = ret_page->round_done = true; /* first let the slot move */
            return true;
        }
        if (!wal_begin_feed(wal, e))
            return false;
    }
    if (!wal_fill_page(wal, deadline_us, e))
        return false;

    wal->rows_since_commit += wal->count;
    busy = wal->rows_since_commit >= BUSY_ROWS && now_us() - wal->caught_up_us > BUSY_LATE_US;
    *ret_page = (struct source_page){ .rows = wal->rows,
        .count = wal->count,
        .round_done = !busy && !wal_page_full(wal),
        .store = wal->count == 0 && wal_store_due(wal) };
    return true;
}

static void wal_pump(struct source *source)
{
    struct error e = { 0 };

    if (!wal_confirm(wal_of(source), false, &e))
        error_clear(&e); /* the next read will say so */
}

static bool wal_committed(struct source *source, const struct position *position, struct error *e)
{
    struct wal *wal = wal_of(source);

    wal->committed_lsn = position->commit_lsn;
    wal->committed_index = position->commit_index;
    wal->rows_since_commit = 0;
    wal->store_now = false;
    wal->stored_us = monotonic_us();
    return wal_confirm(wal, true, e);
}

static const struct position *wal_position(const struct source *source)
{
    return &((const struct wal *)source)->at;
}

static const struct position *wal_page_position(const struct source *source)
{
    return &((const struct wal *)source)->page_at;
}

static void wal_waiting(const struct source *source, struct source_waiting *ret_waiting)
{
    const struct wal *wal = (const struct wal *)source;

    *ret_waiting =
        (struct source_waiting){ .bytes = wal_behind(wal, wal->at.commit_lsn), .caught_up_us = wal->caught_up_us };
}

static const char *wal_content_type(const struct source *source)
{
    const struct wal *wal = (const struct wal *)source;

    if (*wal->options.mapping->content_type)
        return wal->options.mapping->content_type;
    if (wal->table.payload_is_bytes)
        return "application/protobuf";
    return wal->table.payload_is_json ? "application/json" : "text/plain";
}

static const struct source_ops wal_ops = { .free = wal_free,
    .identify = wal_identify,
    .resume = wal_resume,
    .next = wal_next,
    .limit = wal_limit,
    .pump = wal_pump,
    .committed = wal_committed,
    .position = wal_position,
    .page_position = wal_page_position,
    .waiting = wal_waiting,
    .content_type = wal_content_type };
