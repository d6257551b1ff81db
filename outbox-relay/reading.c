#include "reading.h"

#include "relay_sql.h"

#include <endian.h>
#include <stdio.h>

enum {
    POSTGRES_EPOCH_S = 946684800, /* 2000-01-01 */
    CONNECT_TIMEOUT_S = 5,
    ARRAY_HEADER_BYTES = 12,
    ARRAY_DIMENSION_BYTES = 8,
};
static const char statement_timeout[] = "60s";
static const char tcp_user_timeout_ms[] = "10000";

bool reading_lost(const struct reading *reading, const char *what, struct error *e)
{
    const char *why = PQerrorMessage(reading->conn);

    return error_set(e, ERROR_TRANSIENT, "%s: %.*s", what, (int)strcspn(why, "\n"), why);
}

void pg_native_clear(PGresult *result)
{
    PQclear(result);
}

static bool reading_prepare(struct reading *reading, const struct pg_statement *statement, struct error *e)
{
    CLEANUP(xfree) char *sql = mapping_expand(&reading->sql, statement->sql);
    CLEANUP(pg_native_clear) PGresult *result = PQprepare(reading->conn, statement->name, sql, 0, NULL);

    return PQresultStatus(result) == PGRES_COMMAND_OK || pg_error_from_result(result, e);
}

/* Which columns the table has, and so what the statements say. */
static bool reading_describe(struct reading *reading, const struct source_options *options, struct error *e)
{
    struct mapping_column columns[MAPPING_COLUMNS_MAX];

    const char *const arguments[] = { reading->sql.table };
    CLEANUP(pg_native_clear)
    PGresult *result = PQexecParams(reading->conn, sql_columns.sql, 1, NULL, arguments, NULL, NULL, 0);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        return pg_error_from_result(result, e);
    size_t count = (size_t)PQntuples(result);
    for (size_t i = 0; i < count && i < MAPPING_COLUMNS_MAX; i++)
        columns[i] = (struct mapping_column){ PQgetvalue(result, (int)i, 0), PQgetvalue(result, (int)i, 1) };
    return mapping_resolve(&reading->sql, options->mapping, options->setting, columns, count, e);
}

static bool reading_begin_session(struct reading *reading, const struct source_options *options,
    const struct pg_statement *const *statements, size_t count, struct error *e)
{
    const char *const arguments[] = { statement_timeout };
    CLEANUP(pg_native_clear)
    PGresult *settings = PQexecParams(reading->conn, sql_session.sql, 1, NULL, arguments, NULL, NULL, 0);

    if (PQresultStatus(settings) != PGRES_TUPLES_OK)
        return pg_error_from_result(settings, e);
    mapping_sql_init(&reading->sql, options->mapping);
    if (options->mode == SOURCE_POLL && !reading_describe(reading, options, e))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!reading_prepare(reading, statements[i], e))
            return false;
    return true;
}

bool reading_open(struct reading *reading, const struct source_options *options,
    const struct pg_statement *const *statements, size_t count, struct error *e)
{
    char connect_timeout_s[16];
    /* Those before dbname are defaults that the dsn may override. */
    const char *const names[] = { "connect_timeout", "tcp_user_timeout", "dbname", "application_name", NULL };
    const char *const values[] = { connect_timeout_s, tcp_user_timeout_ms, options->dsn, options->application_name,
        NULL };

    snprintf(connect_timeout_s, sizeof connect_timeout_s, "%d", CONNECT_TIMEOUT_S);
    reading->conn = PQconnectdbParams(names, values, 1);
    if (!reading->conn || PQstatus(reading->conn) != CONNECTION_OK)
        return reading_lost(reading, "cannot connect", e);
    return reading_begin_session(reading, options, statements, count, e);
}

void reading_release(struct reading *reading)
{
    PQclear(reading->page);
    PQfinish(reading->conn);
    mapping_sql_release(&reading->sql);
    xfree(reading->rows);
    xfree(reading->headers);
    *reading = (struct reading){ 0 };
}

bool reading_query(struct reading *reading, const struct pg_statement *statement, const char *const *arguments,
    int argument_count, PGresult **ret_result, struct error *e)
{
    PGresult *result = PQexecPrepared(reading->conn, statement->name, argument_count, arguments, NULL, NULL, 1);

    if (PQresultStatus(result) == PGRES_TUPLES_OK || PQresultStatus(result) == PGRES_COMMAND_OK) {
        *ret_result = result;
        return true;
    }
    pg_error_from_result(result, e);
    PQclear(result);
    return false;
}

/* ---- Values ---- */

static uint32_t read_be32(const void *data)
{
    uint32_t value;

    memcpy(&value, data, sizeof value);
    return be32toh(value);
}

uint64_t result_u64(const PGresult *result, int row, int column)
{
    uint64_t value;

    if (PQgetisnull(result, row, column) || PQgetlength(result, row, column) != sizeof value)
        return 0;
    memcpy(&value, PQgetvalue(result, row, column), sizeof value);
    return be64toh(value);
}

int64_t result_time_us(const PGresult *result, int row, int column)
{
    if (PQgetisnull(result, row, column))
        return 0;
    return (int64_t)result_u64(result, row, column) + (int64_t)POSTGRES_EPOCH_S * 1000000;
}

/* Reads a text[] as it travels in binary: name, value, name, value, … into reading->headers. */
static const char *read_headers(struct reading *reading, const char *data, size_t len, size_t *ret_count)
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
    if (reading->header_count + count > reading->headers_capacity) {
        reading->headers_capacity = (reading->header_count + count) * 2;
        reading->headers = xrealloc(reading->headers, reading->headers_capacity * sizeof *reading->headers);
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t item = len - used >= 4 ? read_be32(data + used) : UINT32_MAX;

        used += 4;
        if (item == UINT32_MAX || item > len - used)
            return "headers has a NULL";
        reading->headers[reading->header_count + i] = (struct bytes){ data + used, item };
        used += item;
    }
    reading->header_count += count;
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
int64_t reading_take(struct reading *reading, PGresult *result, uint64_t first_seq)
{
    size_t count = (size_t)PQntuples(result), first_header = 0;
    int64_t payload_bytes = 0;

    if (count > reading->rows_capacity) {
        reading->rows_capacity = count;
        reading->rows = xrealloc(reading->rows, count * sizeof *reading->rows);
    }
    PQclear(reading->page);
    reading->page = result;
    reading->count = count;
    reading->header_count = 0;
    for (int i = 0; i < (int)count; i++) {
        struct bytes headers = result_bytes(result, i, 6);
        struct source_row *row = &reading->rows[i];

        *row = (struct source_row){ .id = result_u64(result, i, 0),
            .seq = first_seq + (uint64_t)i,
            .topic = PQgetvalue(result, i, 1),
            .key = result_bytes(result, i, 2),
            .type = PQgetvalue(result, i, 3),
            .payload = result_bytes(result, i, 4),
            .traceparent = PQgetvalue(result, i, 5),
            .created_at_us = result_time_us(result, i, 7),
            .event_id = PQgetisnull(result, i, 8) ? NULL : PQgetvalue(result, i, 8) };
        payload_bytes += (int64_t)row->payload.len;
        if (headers.len > 0)
            row->flaw = read_headers(reading, headers.data, headers.len, &row->header_count);
        if (!*row->topic || !*row->type)
            row->flaw = *row->topic ? "it has no type" : "it has no topic";
    }
    for (size_t i = 0; i < count; i++) { /* only now: the list may have moved while it grew */
        reading->rows[i].headers = reading->headers + first_header;
        first_header += reading->rows[i].header_count;
    }
    return payload_bytes;
}
