/* pg.h -- one Postgres connection, one thread, blocking, in pipeline mode.
 *
 * Statements that are queued travel together: a round trip is paid at pg_wait(), pg_query() and pg_commit(), not at pg_send().
 * Typical batch:   pg_begin;  pg_send(load…);  pg_wait;  decide in C;  pg_send(store…);  pg_commit  = two round trips.
 *
 * Arguments and results travel in binary. A statement is prepared on its first use on a connection, under its name.
 * An error in any queued statement surfaces at the next wait, query or commit and dooms the transaction: the caller calls
 * pg_rollback() and may begin anew. A lost connection is ERROR_TRANSIENT; the next pg_begin() or pg_query() reconnects.
 * When the connection is lost in pg_commit() the outcome is unknown: e->code is PG_CODE_COMMIT_UNKNOWN, and the caller
 * repeats the whole batch, whose idempotency (position row, inbox) finds out. */
#pragma once

#include "base.h"
#include "error.h"

#include <libpq-fe.h>

enum {
    PG_PIPELINE_MAX = 32,        /* queued statements; one more makes pg_send() wait first */
    PG_ARGS_MAX = 32,            /* arguments of one statement */
    PG_CODE_COMMIT_UNKNOWN = -1, /* error.code */
};

struct pg;
struct pg_result;

/* Made at build time from sql/<name>.sql: `extern const struct pg_statement sql_<name>;` */
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

EB_API PGconn *pg_native(struct pg *pg); /* borrowed; for what this header does not do. Leave it as you found it. */

/* SQLSTATE or connection state → kind; the one place where that is decided. */
EB_API bool pg_error_from_result(const PGresult *result, struct error *e); /* always false */

/* ---- Arguments of the next pg_send() or pg_query(), in order: $1, $2, … Values are copied. ---- */
EB_API void pg_arg_int64(struct pg *pg, int64_t value); /* int8 */
EB_API void pg_arg_int32(struct pg *pg, int32_t value); /* int4 */
EB_API void pg_arg_bool(struct pg *pg, bool value);
EB_API void pg_arg_text(struct pg *pg, const char *value); /* NULL is SQL NULL */
EB_API void pg_arg_bytes(struct pg *pg, struct bytes value); /* bytea; data == NULL is SQL NULL */
/* One column of a batch, for unnest($1, $2, …). */
EB_API void pg_arg_int64s(struct pg *pg, const int64_t *values, size_t count);      /* int8[] */
EB_API void pg_arg_int32s(struct pg *pg, const int32_t *values, size_t count);      /* int4[] */
EB_API void pg_arg_texts(struct pg *pg, const char *const *values, size_t count);   /* text[]; NULL elements are SQL NULL */
EB_API void pg_arg_blobs(struct pg *pg, const struct bytes *values, size_t count);  /* bytea[]; data == NULL is SQL NULL */

/* ---- Transactions and statements ---- */
EB_API MUST_CHECK bool pg_begin(struct pg *pg, struct error *e); /* READ COMMITTED; queued, no round trip */
EB_API MUST_CHECK bool pg_commit(struct pg *pg, struct error *e);
EB_API void pg_rollback(struct pg *pg); /* fine at any time; clears what was queued */

/* Queues one statement with the arguments gathered since the last. With ret_result the rows are wanted: *ret_result is set by
 * the next successful pg_wait(), pg_query() or pg_commit() and is the caller's (pg_result_free); NULL before. */
EB_API MUST_CHECK bool pg_send(
    struct pg *pg, const struct pg_statement *statement, struct pg_result **ret_result, struct error *e);
EB_API MUST_CHECK bool pg_wait(struct pg *pg, struct error *e);
/* pg_send() and pg_wait(). Outside a transaction the statement is its own. ret_result may be NULL. */
EB_API MUST_CHECK bool pg_query(
    struct pg *pg, const struct pg_statement *statement, struct pg_result **ret_result, struct error *e);

/* ---- Results. Columns count from 0. Out of range or the wrong width is a bug: it aborts. ---- */
EB_API void pg_result_free(struct pg_result *result);
DEFINE_CLEANUP(struct pg_result *, pg_result_free)
EB_API size_t pg_rows(const struct pg_result *result);
EB_API size_t pg_affected(const struct pg_result *result);
EB_API bool pg_is_null(const struct pg_result *result, size_t row, size_t column);
EB_API int64_t pg_get_int64(const struct pg_result *result, size_t row, size_t column); /* int2, int4, int8; NULL reads as 0 */
EB_API bool pg_get_bool(const struct pg_result *result, size_t row, size_t column);
EB_API const char *pg_get_text(const struct pg_result *result, size_t row, size_t column); /* borrowed; "" for NULL */
EB_API struct bytes pg_get_bytes(const struct pg_result *result, size_t row, size_t column); /* borrowed */
