/* pg_result.c -- binary results → values. Asking for what is not there, or for another type, is a bug and aborts. */
#include "pg_private.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    OID_BOOL = 16,
    OID_CHAR = 18,
    OID_NAME = 19,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_OID = 26,
    OID_XID = 28,
    OID_JSON = 114,
    OID_UNKNOWN = 705,
    OID_BPCHAR = 1042,
    OID_VARCHAR = 1043,
    OID_XID8 = 5069,
};

struct pg_result {
    PGresult *native;
    size_t rows, columns;
};

struct pg_result *pg_result_new(PGresult *native)
{
    struct pg_result *result = xmalloc(sizeof *result);
    *result = (struct pg_result){
        .native = native,
        .rows = (size_t)PQntuples(native),
        .columns = (size_t)PQnfields(native),
    };
    return result;
}

void pg_result_free(struct pg_result *result)
{
    if (!result)
        return;
    PQclear(result->native);
    xfree(result);
}

size_t pg_rows(const struct pg_result *result)
{
    return result->rows;
}

size_t pg_affected(const struct pg_result *result)
{
    return (size_t)strtoull(PQcmdTuples(result->native), NULL, 10); /* "" reads as 0 */
}

static _Noreturn void bug(const struct pg_result *result, size_t row, size_t column, const char *wanted)
{
    bool there = column < result->columns;
    fprintf(stderr, "pg: row %zu of %zu, column %zu of %zu (%s, type %u) read as %s\n", row, result->rows, column,
        result->columns, there ? PQfname(result->native, (int)column) : "?",
        there ? PQftype(result->native, (int)column) : 0, wanted);
    abort();
}

static Oid type_of(const struct pg_result *result, size_t row, size_t column, const char *wanted)
{
    if (row >= result->rows || column >= result->columns)
        bug(result, row, column, wanted);
    return PQftype(result->native, (int)column);
}

static struct bytes value_of(const struct pg_result *result, size_t row, size_t column)
{
    if (PQgetisnull(result->native, (int)row, (int)column))
        return (struct bytes){ NULL, 0 };
    return (struct bytes){
        .data = PQgetvalue(result->native, (int)row, (int)column),
        .len = (size_t)PQgetlength(result->native, (int)row, (int)column),
    };
}

bool pg_is_null(const struct pg_result *result, size_t row, size_t column)
{
    (void)type_of(result, row, column, "NULL");
    return PQgetisnull(result->native, (int)row, (int)column);
}

static int64_t read_int16(const void *wire)
{
    uint16_t value;
    memcpy(&value, wire, sizeof value);
    return (int16_t)be16toh(value);
}

static uint32_t read_uint32(const void *wire)
{
    uint32_t value;
    memcpy(&value, wire, sizeof value);
    return be32toh(value);
}

static int64_t read_int64(const void *wire)
{
    uint64_t value;
    memcpy(&value, wire, sizeof value);
    return (int64_t)be64toh(value);
}

int64_t pg_get_int64(const struct pg_result *result, size_t row, size_t column)
{
    Oid type = type_of(result, row, column, "an integer");
    struct bytes value = value_of(result, row, column);
    switch (type) {
    case OID_INT2:
        return value.data ? read_int16(value.data) : 0;
    case OID_INT4:
        return value.data ? (int32_t)read_uint32(value.data) : 0;
    case OID_OID:
    case OID_XID:
        return value.data ? read_uint32(value.data) : 0;
    case OID_INT8:
    case OID_XID8:
        return value.data ? read_int64(value.data) : 0;
    default:
        bug(result, row, column, "an integer");
    }
}

bool pg_get_bool(const struct pg_result *result, size_t row, size_t column)
{
    if (type_of(result, row, column, "a bool") != OID_BOOL)
        bug(result, row, column, "a bool");
    struct bytes value = value_of(result, row, column);
    return value.data && *(const char *)value.data != 0;
}

const char *pg_get_text(const struct pg_result *result, size_t row, size_t column)
{
    switch (type_of(result, row, column, "text")) {
    case OID_TEXT:
    case OID_VARCHAR:
    case OID_BPCHAR:
    case OID_NAME:
    case OID_CHAR:
    case OID_JSON:
    case OID_UNKNOWN: {
        struct bytes value = value_of(result, row, column);
        return value.data ? value.data : ""; /* libpq puts a NUL after every value */
    }
    default:
        bug(result, row, column, "text");
    }
}

struct bytes pg_get_bytes(const struct pg_result *result, size_t row, size_t column)
{
    (void)type_of(result, row, column, "bytes");
    return value_of(result, row, column);
}
