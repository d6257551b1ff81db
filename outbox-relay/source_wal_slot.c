#include "source_wal_slot.h"

#include "log.h"
#include "relay_sql.h"
#include "timeline.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    CONNECT_TIMEOUT_S = 5,
    FREE_TIMEOUT_US = 5000000,
    FREE_POLL_NS = 5000000,
    NUMBER_MAX = 24,
};

/* ---- Connections ---- */

bool wal_lost(PGconn *conn, const char *what, struct error *e)
{
    const char *why = PQerrorMessage(conn);

    return error_set(e, ERROR_TRANSIENT, "%s: %.*s", what, (int)strcspn(why, "\n"), why);
}

bool wal_connect(const char *dsn, const char *application_name, bool replication, PGconn **ret_conn, struct error *e)
{
    char connect_timeout_s[16];
    /* Those before dbname are defaults that the dsn may override. */
    const char *const names[] = { "connect_timeout", "tcp_user_timeout", "dbname", "application_name",
        replication ? "replication" : NULL, NULL };
    const char *const values[] = { connect_timeout_s, "10000", dsn, application_name, "database", NULL };

    snprintf(connect_timeout_s, sizeof connect_timeout_s, "%d", CONNECT_TIMEOUT_S);

    CLEANUP(pg_conn_finish) PGconn *conn = PQconnectdbParams(names, values, 1);
    if (!conn || PQstatus(conn) != CONNECTION_OK)
        return wal_lost(conn, "cannot connect", e);
    *ret_conn = TAKE(conn);
    return true;
}

bool wal_query(PGconn *conn, const struct pg_statement *statement, const char *const *arguments, int argument_count,
    PGresult **ret_result, struct error *e)
{
    CLEANUP(pg_result_clear)
    PGresult *result = PQexecParams(conn, statement->sql, argument_count, NULL, arguments, NULL, NULL, 0);

    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        return pg_error_from_result(result, e);
    if (ret_result)
        *ret_result = TAKE(result);
    return true;
}

static uint64_t field_u64(const PGresult *result, int row, int column)
{
    return strtoull(PQgetvalue(result, row, column), NULL, 10);
}

static bool field_bool(const PGresult *result, int row, int column)
{
    return *PQgetvalue(result, row, column) == 't';
}

/* ---- Table and publication ---- */

static bool table_read_columns(PGconn *conn, const struct source_options *options, struct wal_table *table,
    PGresult **ret_columns, struct error *e)
{
    char oid[NUMBER_MAX];
    const char *const arguments[] = { oid };

    snprintf(oid, sizeof oid, "%" PRIu32, table->oid);
    if (!wal_query(conn, &sql_wal_columns, arguments, ARRAY_LEN(arguments), ret_columns, e))
        return false;
    for (int i = 0; i < PQntuples(*ret_columns); i++) {
        uint32_t type = (uint32_t)field_u64(*ret_columns, i, 1), base = (uint32_t)field_u64(*ret_columns, i, 3);
        enum wal_encoding encoding = field_bool(*ret_columns, i, 2) ? WAL_TEXT : wal_encoding_of(base);

        if (encoding == WAL_UNREADABLE)
            continue;
        if (table->type_count == WAL_TYPES_MAX)
            return error_set(e, ERROR_FATAL, "%s has columns of more than %d enums and domains",
                options->mapping->table, WAL_TYPES_MAX);
        table->types[table->type_count++] = (struct wal_type){ type, encoding };
    }
    return true;
}

static enum wal_encoding column_encoding(const struct wal_table *table, uint32_t type)
{
    for (size_t i = 0; i < table->type_count; i++)
        if (table->types[i].oid == type)
            return table->types[i].encoding;
    return wal_encoding_of(type);
}

static bool table_check_columns(
    const struct source_options *options, struct wal_table *table, const PGresult *columns, struct error *e)
{
    for (enum wal_role role = 0; role < WAL_ROLES; role++) {
        const char *name = wal_role_column(options->mapping, role);
        int row = 0;

        if (!*name)
            continue;
        while (row < PQntuples(columns) && strcmp(PQgetvalue(columns, row, 0), name) != 0)
            row++;
        if (row == PQntuples(columns))
            return error_set(e, ERROR_FATAL, "table %.60s has no column %.60s", options->mapping->table, name);

        enum wal_encoding encoding = column_encoding(table, (uint32_t)field_u64(columns, row, 1));
        if (!wal_role_reads(role, encoding))
            return error_set(e, ERROR_FATAL, "column %.60s of table %.60s is of type %.30s, which wal mode cannot read",
                name, options->mapping->table, PQgetvalue(columns, row, 4));
        if (role == WAL_PAYLOAD) {
            table->payload_is_bytes = encoding == WAL_BYTES;
            table->payload_is_json = encoding == WAL_JSON || encoding == WAL_JSONB;
        }
    }
    return true;
}

bool wal_table_read(PGconn *conn, const struct source_options *options, struct wal_table *ret_table, struct error *e)
{
    CLEANUP(xfree) char *quoted = mapping_quote_table(options->mapping->table);
    const char *const arguments[] = { quoted, options->publication };
    CLEANUP(pg_result_clear) PGresult *found = NULL;
    CLEANUP(pg_result_clear) PGresult *columns = NULL;

    *ret_table = (struct wal_table){ 0 };
    if (!wal_query(conn, &sql_wal_table, arguments, ARRAY_LEN(arguments), &found, e))
        return false;
    if (PQntuples(found) == 0)
        return error_set(e, ERROR_FATAL, "there is no table %.60s, or it may not be seen", options->mapping->table);
    ret_table->oid = (uint32_t)field_u64(found, 0, 0);
    ret_table->schema = xstrdup(PQgetvalue(found, 0, 1));
    ret_table->name = xstrdup(PQgetvalue(found, 0, 2));
    if (!field_bool(found, 0, 3))
        return error_set(e, ERROR_FATAL, "there is no publication %.60s", options->publication);
    if (!field_bool(found, 0, 4) || !field_bool(found, 0, 5))
        return error_set(e, ERROR_FATAL, "publication %.60s does not publish what is inserted into %.60s%s",
            options->publication, options->mapping->table,
            field_bool(found, 0, 6) ? " (partitioned: publish_via_partition_root is needed)" : "");
    return table_read_columns(conn, options, ret_table, &columns, e) &&
           table_check_columns(options, ret_table, columns, e);
}

void wal_table_release(struct wal_table *table)
{
    xfree(table->schema);
    xfree(table->name);
    *table = (struct wal_table){ 0 };
}

/* ---- Slot ---- */

bool wal_slot_take(const PGresult *result, const char *name, struct wal_slot *ret_slot, struct error *e)
{
    const char *plugin = PQgetvalue(result, 0, 1), *database = PQgetvalue(result, 0, 2),
               *status = PQgetvalue(result, 0, 4);

    *ret_slot = (struct wal_slot){ .flush_lsn = field_u64(result, 0, 0) };
    if (PQgetisnull(result, 0, 5) && PQgetisnull(result, 0, 4) && PQgetisnull(result, 0, 1))
        return true; /* there is none */
    if (strcmp(plugin, "pgoutput") != 0)
        return error_set(e, ERROR_FATAL, "slot %.63s is not ours: its plugin is \"%.30s\", not pgoutput", name, plugin);
    if (strcmp(database, PQgetvalue(result, 0, 7)) != 0)
        return error_set(e, ERROR_FATAL, "slot %.63s is not ours: it is of database \"%.63s\"", name, database);
    if (strcmp(status, "lost") == 0)
        return error_set(e, ERROR_FATAL,
            "slot %.63s is lost: Postgres has removed log that was not read yet (max_slot_wal_keep_size); rows are "
            "missing",
            name);
    ret_slot->exists = true;
    ret_slot->active_pid = (int)field_u64(result, 0, 3);
    ret_slot->restart_lsn = field_u64(result, 0, 5);
    ret_slot->confirmed_lsn = field_u64(result, 0, 6);
    return true;
}

bool wal_slot_read(PGconn *conn, const char *name, struct wal_slot *ret_slot, struct error *e)
{
    CLEANUP(pg_result_clear) PGresult *result = NULL;

    return wal_query(conn, &sql_wal_slot, &name, 1, &result, e) && wal_slot_take(result, name, ret_slot, e);
}

bool wal_slot_free(PGconn *conn, const char *name, struct error *e)
{
    int64_t deadline_us = monotonic_us() + FREE_TIMEOUT_US;
    struct wal_slot slot;

    while (wal_slot_read(conn, name, &slot, e)) {
        char pid[NUMBER_MAX];
        const char *const arguments[] = { name, pid };

        if (slot.active_pid == 0)
            return true;
        if (monotonic_us() > deadline_us)
            return error_set(
                e, ERROR_TRANSIENT, "slot %.63s is still read by session %d, which was ended", name, slot.active_pid);
        snprintf(pid, sizeof pid, "%d", slot.active_pid);
        if (!wal_query(conn, &sql_wal_slot_free, arguments, ARRAY_LEN(arguments), NULL, e))
            return false;
        nanosleep(&(struct timespec){ .tv_nsec = FREE_POLL_NS }, NULL);
    }
    return false;
}

bool wal_slot_advance(PGconn *conn, const char *name, uint64_t lsn, struct error *e)
{
    char text[NUMBER_MAX];
    const char *const arguments[] = { name, text };

    snprintf(text, sizeof text, "%" PRIu64, lsn);
    return wal_query(conn, &sql_wal_slot_advance, arguments, ARRAY_LEN(arguments), NULL, e);
}

/* ---- Server and slot against the position ---- */

static bool check_server(PGconn *conn, const struct source_options *options, struct position *position, struct error *e)
{
    CLEANUP(pg_result_clear) PGresult *identity = NULL;
    struct snapshot present;

    if (!wal_query(conn, &sql_identity, NULL, 0, &identity, e) ||
        !snapshot_parse(PQgetvalue(identity, 0, 2), &present, e))
        return false;

    uint64_t system_identifier = field_u64(identity, 0, 0);
    uint32_t timeline = (uint32_t)strtoul(PQgetvalue(identity, 0, 1), NULL, 16);
    bool same = position_check_database(position, system_identifier, timeline, &present, e);
    snapshot_release(&present);
    if (!same)
        return false;
    if (position->commit_lsn == 0 && position->published_rows > 0)
        return error_set(e, ERROR_FATAL, "the stored position was made in poll mode: it says nothing about the log");
    if (!timeline_check(conn, options->dsn, options->application_name, position, timeline, e))
        return false;
    position->system_identifier = system_identifier;
    position->timeline = timeline;
    return true;
}

static bool check_slot(
    const struct source_options *options, const struct position *position, const struct wal_slot *slot, struct error *e)
{
    char at[LSN_TEXT_MAX], there[LSN_TEXT_MAX];

    lsn_format(position->commit_lsn, at);
    if (position->commit_lsn == 0)
        return true;
    if (slot->flush_lsn < position->commit_lsn)
        return error_set(e, ERROR_FATAL,
            "the stored position is at %s, this Postgres has come only to %s: it has lost transactions (restored "
            "backup, "
            "failover to a lagging standby)",
            at, lsn_format(slot->flush_lsn, there));
    if (!slot->exists)
        return error_set(e, ERROR_FATAL,
            "slot %.63s is missing, and the stored position is at %s: a new slot would skip what was committed since",
            options->slot, at);
    if (slot->confirmed_lsn > position->commit_lsn)
        return error_set(e, ERROR_FATAL,
            "slot %.63s is at %s, past the stored position %s: it was made anew, or somebody else moved it; rows "
            "between "
            "would be skipped",
            options->slot, lsn_format(slot->confirmed_lsn, there), at);
    return true;
}

bool wal_slot_prepare(
    PGconn *conn, const struct source_options *options, struct position *position, bool *ret_made, struct error *e)
{
    struct wal_slot slot;

    *ret_made = false;
    if (!check_server(conn, options, position, e) || !wal_slot_read(conn, options->slot, &slot, e) ||
        !check_slot(options, position, &slot, e))
        return false;
    if (!slot.exists) {
        if (!wal_query(conn, &sql_wal_slot_create, &options->slot, 1, NULL, e) ||
            !wal_slot_read(conn, options->slot, &slot, e))
            return false;
        *ret_made = true;
    }
    if (position->commit_lsn == 0)
        position->commit_lsn = slot.confirmed_lsn;
    return wal_slot_free(conn, options->slot, e);
}
