/* pg.h -- one Postgres connection, one thread, blocking, in pipeline mode.
 *
 * Statements that are queued travel together: a round trip is paid at pg_wait(), pg_query() and pg_commit(), not at
 * pg_send(). Typical batch:   pg_begin;  pg_send(load…);  pg_wait;  decide in C;  pg_send(store…);  pg_commit  = two
 * round trips.
 *
 * Arguments and results travel in binary. A statement is prepared on its first use on a connection, under its name.
 * An error in any queued statement surfaces at the next wait, query or commit and dooms the transaction: the caller
 * calls pg_rollback() and may begin anew. A lost connection is ERROR_TRANSIENT; the next pg_begin() or pg_query()
 * reconnects. When the connection is lost in pg_commit() the outcome is unknown: e->code is PG_CODE_COMMIT_UNKNOWN, and
 * the caller repeats the whole batch, whose idempotency (position row, inbox) finds out. The same goes for statements
 * that were sent outside a transaction, which are one of their own. A server that does not answer within the
 * statements' timeouts and 5 s counts as lost. COPY is not for this interface: it cannot travel in a pipeline.
 *
 * Kinds (pg_error.c has the table): TRANSIENT is what passes: connection, shutdown, deadlock, serialization, full disk,
 * timeout. CONFLICT is a unique key that lost a race, and a lost partition (PG_CODE_PARTITION_LOST). INVALID is text
 * that is not UTF-8; REFUSED any other value or constraint the database refuses. All else is FATAL. */
#pragma once

#include "base.h"
#include "error.h"

#include <libpq-fe.h>

enum {
    PG_PIPELINE_MAX = 32, /* queued statements; one more makes pg_send() wait first */
    PG_ARGS_MAX = 32,     /* arguments of one statement */
};

/* error.code: a SQLSTATE read as a number in base 36, or … */
#define PG_SQLSTATE_DIGIT(c) ((c) <= '9' ? (c) - '0' : (c) - 'A' + 10)
#define PG_SQLSTATE(a, b, c, d, e)                                                                                     \
    ((((PG_SQLSTATE_DIGIT(a) * 36 + PG_SQLSTATE_DIGIT(b)) * 36 + PG_SQLSTATE_DIGIT(c)) * 36 + PG_SQLSTATE_DIGIT(d)) *  \
            36 +                                                                                                       \
        PG_SQLSTATE_DIGIT(e))
enum {
    PG_CODE_COMMIT_UNKNOWN = -1,                                   /* TRANSIENT: it may or may not have happened */
    PG_CODE_PARTITION_LOST = PG_SQLSTATE('E', 'B', '0', '0', '1'), /* CONFLICT, from consumer_positions_advance() */
    PG_CODE_UNIQUE_VIOLATION =
        PG_SQLSTATE('2', '3', '5', '0', '5'), /* CONFLICT: lost the race to another transaction */
};

struct pg;
struct pg_result;

/* Made at build time from sql/<name>.sql: `extern const struct pg_statement sql_<name>;`. Statements outlive
 * connections. A name stands for one text and, at every use, the same types of arguments. */
struct pg_statement {
    const char *name;
    const char *sql;
};

struct pg_options {
    const char *dsn;               /* URI or key=value; may hold a secret: never logged */
    const char *application_name;  /* shown in pg_stat_activity */
    uint32_t connect_timeout_ms;   /* 0: 5000 */
    uint32_t statement_timeout_ms; /* 0: 10000 */
};

/* Connects. *ret_pg is the caller's (pg_free). Errors: TRANSIENT; INVALID for a dsn that does not parse; FATAL when the
 * server refuses the role, password or database. */
EB_API MUST_CHECK bool pg_open(const struct pg_options *options, struct pg **ret_pg, struct error *e);
EB_API void pg_free(struct pg *pg); /* NULL is fine; an open transaction is rolled back */
DEFINE_CLEANUP(struct pg *, pg_free)

/* Borrowed; for what this header does not do. Leave it as you found it: in pipeline mode, not blocking, nothing in
 * flight. NULL after the connection was lost. */
EB_API PGconn *pg_native(struct pg *pg);

/* SQLSTATE or connection state → kind; the one place where that is decided. */
EB_API bool pg_error_from_result(const PGresult *result, struct error *e); /* always false */

/* ---- Arguments of the next pg_send() or pg_query(), in order: $1, $2, … Values are copied. ---- */
EB_API void pg_arg_int64(struct pg *pg, int64_t value); /* int8 */
EB_API void pg_arg_int32(struct pg *pg, int32_t value); /* int4 */
EB_API void pg_arg_bool(struct pg *pg, bool value);
EB_API void pg_arg_text(struct pg *pg, const char *value);   /* NULL is SQL NULL */
EB_API void pg_arg_bytes(struct pg *pg, struct bytes value); /* bytea; data == NULL is SQL NULL */
/* One column of a batch, for unnest($1, $2, …). */
EB_API void pg_arg_int64s(struct pg *pg, const int64_t *values, size_t count); /* int8[] */
EB_API void pg_arg_int32s(struct pg *pg, const int32_t *values, size_t count); /* int4[] */
EB_API void pg_arg_texts(
    struct pg *pg, const char *const *values, size_t count); /* text[]; NULL elements are SQL NULL */
EB_API void pg_arg_blobs(
    struct pg *pg, const struct bytes *values, size_t count); /* bytea[]; data == NULL is SQL NULL */

/* ---- Transactions and statements ---- */
EB_API MUST_CHECK bool pg_begin(struct pg *pg, struct error *e); /* READ COMMITTED; queued, no round trip */
EB_API MUST_CHECK bool pg_commit(struct pg *pg, struct error *e);
EB_API void pg_rollback(struct pg *pg); /* fine at any time; clears what was queued */

/* Queues one statement with the arguments gathered since the last. With ret_result the rows are wanted: *ret_result is
 * set by the next successful pg_wait(), pg_query() or pg_commit() and is the caller's (pg_result_free); NULL before.
 * (The wait may be one that a later pg_send() makes because of PG_PIPELINE_MAX.) */
EB_API MUST_CHECK bool pg_send(
    struct pg *pg, const struct pg_statement *statement, struct pg_result **ret_result, struct error *e);
EB_API MUST_CHECK bool pg_wait(struct pg *pg, struct error *e);
/* pg_send() and pg_wait(). Outside a transaction the statement is its own. ret_result may be NULL. */
EB_API MUST_CHECK bool pg_query(
    struct pg *pg, const struct pg_statement *statement, struct pg_result **ret_result, struct error *e);

/* ---- Results. Columns count from 0. Out of range or another type is a bug: it aborts. Cast in SQL what has no reader
 * here: numeric and timestamptz ::text, or (extract(epoch FROM t) * 1000000)::bigint. ---- */
EB_API void pg_result_free(struct pg_result *result);
DEFINE_CLEANUP(struct pg_result *, pg_result_free)
EB_API size_t pg_rows(const struct pg_result *result);
EB_API size_t pg_affected(const struct pg_result *result);
EB_API bool pg_is_null(const struct pg_result *result, size_t row, size_t column);
EB_API int64_t pg_get_int64(
    const struct pg_result *result, size_t row, size_t column); /* int2, int4, int8; NULL reads as 0 */
EB_API bool pg_get_bool(const struct pg_result *result, size_t row, size_t column);
EB_API const char *pg_get_text(const struct pg_result *result, size_t row, size_t column);   /* borrowed; "" for NULL */
EB_API struct bytes pg_get_bytes(const struct pg_result *result, size_t row, size_t column); /* borrowed */
