/* source_wal_row.h -- from the columns of an inserted row, as pgoutput sends them in binary, to a source_row. Pure;
 * what it makes is the arena's. One thread. */
#pragma once

#include "mapping.h"
#include "pgoutput.h"
#include "source.h"

enum wal_role {
    WAL_ORDER,
    WAL_ID,
    WAL_TOPIC,
    WAL_KEY,
    WAL_TYPE,
    WAL_PAYLOAD,
    WAL_HEADERS,
    WAL_TRACE,
    WAL_TIME,
    WAL_ROLES, /* how many */
};

/* How a type travels in binary. */
enum wal_encoding {
    WAL_UNREADABLE,
    WAL_BYTES,
    WAL_TEXT,
    WAL_JSON, /* text too */
    WAL_JSONB,
    WAL_INT2,
    WAL_INT4,
    WAL_INT8,
    WAL_UUID,
    WAL_TIMESTAMP,
    WAL_TEXTS, /* text[] */
};

enum wal_encoding wal_encoding_of(uint32_t type); /* of the types every Postgres has */

/* A type of this database's own: an enum, a domain. */
struct wal_type {
    uint32_t oid;
    enum wal_encoding encoding;
};

/* Which columns of a relation are what. As the table was when the rows were written, which may not be how it is now. */
struct wal_relation {
    uint32_t oid;
    int columns[WAL_ROLES]; /* -1: none */
    enum wal_encoding encodings[WAL_ROLES];
};

const char *wal_role_column(const struct mapping *mapping, enum wal_role role); /* "" if none */
bool wal_role_reads(enum wal_role role, enum wal_encoding encoding);            /* can it be made of this? */

/* Of a PGOUTPUT_RELATION. Errors: FATAL: a column is of a type that its role cannot be read from. */
MUST_CHECK bool wal_relation_read(const struct pgoutput_message *message, const struct mapping *mapping,
    const struct wal_type *types, size_t type_count, struct wal_relation *ret_relation, struct error *e);

/* Of a PGOUTPUT_INSERT. A row that cannot be an event has its flaw said. Errors: INVALID: not what the relation said.
 */
MUST_CHECK bool wal_row_read(const struct pgoutput_message *message, const struct wal_relation *relation,
    const struct mapping *mapping, struct arena *arena, struct source_row *ret_row, struct error *e);
