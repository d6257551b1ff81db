/* reading.h -- a connection that reads rows of the outbox (or of the parked rows) as the mapping says. One thread. */
#pragma once

#include "source.h"

#include <event_bus/pg.h>

struct reading {
    PGconn *conn;
    struct mapping_sql sql;
    PGresult *page; /* what rows point into */
    struct source_row *rows;
    size_t rows_capacity, count;
    struct bytes *headers; /* of all rows of the page */
    size_t headers_capacity, header_count;
};

/* Connects, holds the mapping against the table (poll mode; in wal mode only {parked} stands for something), prepares
 * the statements (sql/<name>.sql, templates). After an error reading_release() is fine. */
MUST_CHECK bool reading_open(struct reading *reading, const struct source_options *options,
    const struct pg_statement *const *statements, size_t count, struct error *e);
void reading_release(struct reading *reading);

/* Takes a result with the columns of sql/page.sql; rows get seq from first_seq on. Returns the bytes of payload. */
int64_t reading_take(struct reading *reading, PGresult *result, uint64_t first_seq);

/* Runs a prepared statement to its end; *ret_result is the caller's. */
MUST_CHECK bool reading_query(struct reading *reading, const struct pg_statement *statement,
    const char *const *arguments, int argument_count, PGresult **ret_result, struct error *e);

bool reading_lost(const struct reading *reading, const char *what, struct error *e); /* always false: TRANSIENT */
uint64_t result_u64(const PGresult *result, int row, int column);                    /* 0 for NULL */
int64_t result_time_us(const PGresult *result, int row, int column);                 /* 0 for NULL */

void pg_native_clear(PGresult *result);
DEFINE_CLEANUP(PGresult *, pg_native_clear)
