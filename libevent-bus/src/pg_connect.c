/* pg_connect.c -- from a dsn to a connection in pipeline mode. */
#include "pg_private.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>

DEFINE_CLEANUP(PGconn *, PQfinish)
DEFINE_CLEANUP(PQconninfoOption *, PQconninfoFree)

/* The dsn's own server options, and the statement timeout behind them. NULL with *e set. */
static char *server_options(const struct pg_options *options, struct error *e)
{
    CLEANUP(PQconninfoFree) PQconninfoOption *parsed = PQconninfoParse(options->dsn, NULL);
    if (!parsed) { /* libpq's message would quote the dsn, which may hold a secret */
        error_field(e, ERROR_INVALID, "", "dsn", "neither a postgresql:// URI nor key=value pairs");
        return NULL;
    }
    const char *given = "";
    for (const PQconninfoOption *option = parsed; option->keyword; option++)
        if (strcmp(option->keyword, "options") == 0 && option->val)
            given = option->val;
    return xasprintf("%s -c statement_timeout=%u", given, options->statement_timeout_ms);
}

/* libpq does not give the SQLSTATE of a refused connection, but writes it into its message when asked to be verbose:
 * `…: FATAL:  28P01: password authentication failed…`. The last one is that of the last server tried. */
static const char *find_sqlstate(const char *message)
{
    const char *found = NULL;
    for (const char *at = strstr(message, ":  "); at; at = strstr(at + 1, ":  ")) {
        size_t len = 0;
        while (isupper((unsigned char)at[3 + len]) || isdigit((unsigned char)at[3 + len]))
            len++;
        if (len == 5 && at[8] == ':')
            found = at + 3;
    }
    return found;
}

static bool refused(PGconn *conn, struct error *e)
{
    const char *message = PQerrorMessage(conn);
    const char *sqlstate = find_sqlstate(message);
    if (sqlstate) {
        const char *sentence = sqlstate + 5 + strspn(sqlstate + 5, ": ");
        pg_error_set(e, sqlstate, sentence);
        if (e->kind != ERROR_TRANSIENT)
            e->kind = ERROR_FATAL; /* role, password, database, or a setting in the dsn */
        return false;
    }
    enum error_kind kind = PQconnectionNeedsPassword(conn) ? ERROR_FATAL : ERROR_TRANSIENT;
    return error_set(e, kind, "%.*s", (int)strcspn(message, "\n"), message);
}

/* Waits until the socket is ready for what libpq wants. false: the time is over. */
static bool wait_socket(PGconn *conn, PostgresPollingStatusType wanted, int64_t deadline_us)
{
    for (;;) {
        int64_t left_us = deadline_us - monotonic_us();
        if (left_us <= 0)
            return false;
        struct pollfd fd = { .fd = PQsocket(conn), .events = wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT };
        int ready = poll(&fd, 1, (int)(left_us / 1000 + 1));
        if (ready > 0 || (ready < 0 && errno != EINTR))
            return true; /* PQconnectPoll() meets the error itself */
    }
}

static bool shake_hands(PGconn *conn, uint32_t timeout_ms, struct error *e)
{
    int64_t deadline_us = monotonic_us() + (int64_t)timeout_ms * 1000;
    PostgresPollingStatusType wanted = PGRES_POLLING_WRITING;
    while (wanted != PGRES_POLLING_OK) {
        if (wanted == PGRES_POLLING_FAILED || PQstatus(conn) == CONNECTION_BAD)
            return refused(conn, e);
        if (!wait_socket(conn, wanted, deadline_us))
            return error_set(e, ERROR_TRANSIENT, "Postgres did not answer within %u ms", timeout_ms);
        wanted = PQconnectPoll(conn);
    }
    return true;
}

static void ignore_notice(void *context, const PGresult *result)
{
    (void)context;
    (void)result;
}

bool pg_connect(const struct pg_options *options, PGconn **ret_conn, struct error *e)
{
    CLEANUP(xfree) char *server = server_options(options, e);
    if (!server)
        return false;
    const char *const names[] = { "dbname", "options", "client_encoding", "application_name", NULL };
    const char *const values[] = { options->dsn, server, "UTF8", options->application_name, NULL };
    CLEANUP(PQfinish) PGconn *conn = PQconnectStartParams(names, values, 1);
    if (!conn)
        return error_set(e, ERROR_TRANSIENT, "no memory for a connection to Postgres");
    PQsetNoticeReceiver(conn, ignore_notice, NULL);
    PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
    if (!shake_hands(conn, options->connect_timeout_ms, e))
        return false;
    PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
    if (PQsetnonblocking(conn, 1) != 0 || PQenterPipelineMode(conn) != 1)
        return refused(conn, e);
    *ret_conn = TAKE(conn);
    return true;
}
