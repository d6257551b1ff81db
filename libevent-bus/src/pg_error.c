/* pg_error.c -- SQLSTATE → kind. https://www.postgresql.org/docs/15/errcodes-appendix.html */
#include "pg_private.h"

#include <ctype.h>

/* The first prefix that fits decides; what fits none is FATAL, for it was not foreseen. A refusal is a decision taken
 * in C, so an error of class 22 or 23 means that a check is missing there. It is still the input that made it fail, and
 * a process that exits for it would exit again for the same input: it is refused, which answers a request and
 * dead-letters an event. */
static const struct {
    const char *prefix;
    enum error_kind kind;
} kinds[] = {
    { "EB001", ERROR_CONFLICT },  /* consumer_positions_advance(): another consumer has the partition */
    { "EB002", ERROR_FATAL },     /* append_only(): our code tried to change history */
    { "EB004", ERROR_REFUSED },   /* a function for operators was asked for what makes no sense */
    { "08", ERROR_TRANSIENT },    /* connection */
    { "40", ERROR_TRANSIENT },    /* serialization failure, deadlock */
    { "53", ERROR_TRANSIENT },    /* disk full, out of memory, too many connections */
    { "55P03", ERROR_TRANSIENT }, /* lock not available */
    { "55006", ERROR_TRANSIENT }, /* object in use: a replication slot that another backend still holds */
    { "57", ERROR_TRANSIENT },    /* shutdown, crash, cannot connect now, statement timeout */
    { "58", ERROR_TRANSIENT },    /* I/O */
    { "25P03", ERROR_TRANSIENT }, /* idle in transaction for too long */
    { "22021", ERROR_INVALID },   /* bytes that are not UTF-8 */
    { "22P05", ERROR_INVALID },   /* a character that cannot be stored */
    { "22", ERROR_REFUSED },      /* out of range, division by zero, … */
    { "23505", ERROR_CONFLICT },  /* a unique key lost the race to another transaction */
    { "23", ERROR_REFUSED },      /* a constraint's last word */
    { "54", ERROR_REFUSED },      /* too large for an index row, … */
};

static enum error_kind kind_of(const char *sqlstate)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strncmp(sqlstate, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
            return kinds[i].kind;
    return ERROR_FATAL;
}

static int code_of(const char *sqlstate)
{
    int code = 0;
    for (size_t i = 0; i < 5 && sqlstate[i]; i++)
        code = code * 36 + PG_SQLSTATE_DIGIT(toupper((unsigned char)sqlstate[i]));
    return code;
}

bool pg_error_set(struct error *e, const char *sqlstate, const char *message)
{
    error_set(e, kind_of(sqlstate), "%.*s (SQLSTATE %.5s)", (int)strcspn(message, "\n"), message, sqlstate);
    e->code = code_of(sqlstate);
    return false;
}

bool pg_error_from_result(const PGresult *result, struct error *e)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (!message)
        message = PQresultErrorMessage(result);
    if (sqlstate && strlen(sqlstate) == 5)
        return pg_error_set(e, sqlstate, message);
    /* Without a SQLSTATE it is libpq that speaks, about the connection. */
    if (!message || !*message)
        message = "connection to Postgres lost";
    return error_set(e, ERROR_TRANSIENT, "%.*s", (int)strcspn(message, "\n"), message);
}
