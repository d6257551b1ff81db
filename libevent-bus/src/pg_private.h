/* pg_private.h -- what the files of pg share; not installed.
 *
 * pg.c          pipeline and transactions: what is queued, what came back, in what state that leaves us
 * pg_connect.c  from a dsn to a connection in pipeline mode
 * pg_args.c     values → binary arguments
 * pg_result.c   binary results → values
 * pg_error.c    SQLSTATE → kind
 * pg_prepared.c which statements the server knows */
#pragma once

#include <event_bus/pg.h>

enum {
    PG_PREPARED_MAX = 1024, /* statements of one connection; a power of two */
    PG_PENDING_MAX =
        2 * PG_PIPELINE_MAX + 16,          /* each may need a Parse; begin, commit, rollback and syncs come on top */
    PG_ARGS_BYTES_MAX = 512 * 1024 * 1024, /* of one statement; Postgres itself stops at 1 GiB a message */
    PG_STATEMENT_NAME_MAX = 64,            /* with the NUL: the server cuts longer ones, and two could become one */
};

/* ---- Arguments of one statement ---- */
struct pg_args {
    unsigned count;
    bool too_large;
    Oid types[PG_ARGS_MAX];
    size_t offsets[PG_ARGS_MAX]; /* in data */
    int lengths[PG_ARGS_MAX];    /* -1: NULL */
    char *data;
    size_t len, capacity;
};
void pg_args_clear(struct pg_args *args);
void pg_args_release(struct pg_args *args);

/* ---- Statements the server knows, by name ---- */
enum pg_prepared_state { PG_UNPREPARED, PG_PREPARE_QUEUED, PG_PREPARED };
struct pg_prepared {
    const struct pg_statement *statement; /* NULL: a free place */
    enum pg_prepared_state state;
    unsigned args;
    Oid *types;
};
struct pg_prepared_set {
    struct pg_prepared *places; /* open addressing, PG_PREPARED_MAX of them */
    size_t count;
};
void pg_prepared_clear(struct pg_prepared_set *set); /* the server has forgotten */
/* The entry of `statement`, added if new. NULL, FATAL: another statement has this name, other argument types than
 * before (both are bugs), or too many statements. */
struct pg_prepared *pg_prepared_find(
    struct pg_prepared_set *set, const struct pg_statement *statement, const struct pg_args *args, struct error *e);

/* ---- One connection ---- */
enum pg_pending_kind { PG_PENDING_PREPARE, PG_PENDING_STATEMENT, PG_PENDING_COMMIT, PG_PENDING_SYNC };
struct pg_pending {
    enum pg_pending_kind kind;
    const char *name;              /* of the statement, for messages */
    struct pg_prepared *prepared;  /* PREPARE */
    struct pg_result **ret_result; /* where the caller wants the rows, or NULL */
    PGresult *result;              /* kept until all that is pending has succeeded */
};

enum pg_tx {
    PG_TX_NONE,
    PG_TX_BEGUN, /* BEGIN goes out with the first statement */
    PG_TX_OPEN,
    PG_TX_DOOMED, /* `failure` says why; only a rollback helps */
};

struct pg {
    PGconn *conn; /* NULL: lost, or never made */
    bool goodbye; /* the server has announced its end */
    struct pg_options options;
    char *dsn, *application_name; /* what options points to */
    struct pg_args args;          /* gathered for the next statement */
    struct pg_prepared_set prepared;
    struct pg_pending pending[PG_PENDING_MAX];
    size_t pending_count;
    size_t queued; /* of these, statements of the caller */
    enum pg_tx tx;
    struct error failure;
};

/* A connection in pipeline mode, not blocking, silent. Errors as pg_open(). */
MUST_CHECK bool pg_connect(const struct pg_options *options, PGconn **ret_conn, struct error *e);

struct pg_result *pg_result_new(PGresult *native); /* takes native */

/* *e from a SQLSTATE of five characters and the server's sentence; always false. */
bool pg_error_set(struct error *e, const char *sqlstate, const char *message);
