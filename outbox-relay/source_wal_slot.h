/* source_wal_slot.h -- the server's side of wal mode: connections, the replication slot and the publication, held
 * against the position before anything is read, so that a wrong slot or server is an error and never a gap. One thread.
 */
#pragma once

#include "source_wal_row.h"

#include <event_bus/pg.h>

enum { WAL_TYPES_MAX = 256 };

static inline void pg_conn_finish(PGconn *conn)
{
    PQfinish(conn);
}
DEFINE_CLEANUP(PGconn *, pg_conn_finish)
static inline void pg_result_clear(PGresult *result)
{
    PQclear(result);
}
DEFINE_CLEANUP(PGresult *, pg_result_clear)

/* replication: a walsender's session. Errors: TRANSIENT. */
MUST_CHECK bool wal_connect(
    const char *dsn, const char *application_name, bool replication, PGconn **ret_conn, struct error *e);
bool wal_lost(PGconn *conn, const char *what, struct error *e); /* always false */
/* Arguments and results are text. */
MUST_CHECK bool wal_query(PGconn *conn, const struct pg_statement *statement, const char *const *arguments,
    int argument_count, PGresult **ret_result, struct error *e);

/* ---- Table and publication ---- */

struct wal_table {
    uint32_t oid;
    char *schema, *name;
    struct wal_type types[WAL_TYPES_MAX];
    size_t type_count;
    bool payload_is_json, payload_is_bytes;
};

/* Errors: FATAL, with what is missing or cannot be read. wal_table_release() is fine after an error too. */
MUST_CHECK bool wal_table_read(
    PGconn *conn, const struct source_options *options, struct wal_table *ret_table, struct error *e);
void wal_table_release(struct wal_table *table);

/* ---- Slot ---- */

struct wal_slot {
    uint64_t flush_lsn; /* of the server: all that is committed is before it */
    bool exists;
    int active_pid; /* 0: nobody reads it */
    uint64_t restart_lsn, confirmed_lsn;
};

/* sql/wal_slot.sql's result, for who asked it. Errors: FATAL: not our kind of slot, or the server has removed log that
 * it needs. */
MUST_CHECK bool wal_slot_take(const PGresult *result, const char *name, struct wal_slot *ret_slot, struct error *e);
MUST_CHECK bool wal_slot_read(PGconn *conn, const char *name, struct wal_slot *ret_slot, struct error *e);

/* Holds server and slot against the position, makes the slot if there is neither, ends the session of a relay before
 * us, and completes what the position does not know. Call it after fencing. Errors: FATAL: going on would skip rows. */
MUST_CHECK bool wal_slot_prepare(
    PGconn *conn, const struct source_options *options, struct position *position, bool *ret_made, struct error *e);

/* Waits until nobody reads the slot, ending who does. */
MUST_CHECK bool wal_slot_free(PGconn *conn, const char *name, struct error *e);
MUST_CHECK bool wal_slot_advance(PGconn *conn, const char *name, uint64_t lsn, struct error *e);
