#include "timeline.h"

#include "pgoutput.h"
#include "relay_sql.h"
#include "source_wal_slot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { COMMAND_MAX = 64 };

/* Up to where of its timeline's log the position needs what is there; 0: nothing. */
static uint64_t position_lsn(const struct position *position)
{
    return position->commit_lsn > 0 ? position->commit_lsn : position->log_lsn;
}

static bool timeline_branched(const struct position *position, uint64_t left_lsn, struct error *e)
{
    char end[LSN_TEXT_MAX], at[LSN_TEXT_MAX];

    if (left_lsn >= position_lsn(position))
        return true;
    return error_set(e, ERROR_FATAL,
        "this Postgres left timeline %" PRIu32 " at %s, the stored position is at %s of it: transactions that were "
        "published are lost here (failover to a lagging standby)",
        position->timeline, lsn_format(left_lsn, end), lsn_format(position_lsn(position), at));
}

bool timeline_check_history(const char *history, const struct position *position, struct error *e)
{
    for (const char *line = history; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        uint32_t timeline, high, low;

        if (sscanf(line, "%" SCNu32 "\t%" SCNx32 "/%" SCNx32, &timeline, &high, &low) == 3 &&
            timeline == position->timeline)
            return timeline_branched(position, (uint64_t)high << 32 | low, e);
    }
    return error_set(e, ERROR_FATAL,
        "this Postgres was never on timeline %" PRIu32 ", where the stored position was made: transactions that were "
        "published are lost here (another standby was promoted)",
        position->timeline);
}

bool timeline_check_promotion(
    const struct position *position, uint32_t timeline, uint64_t took_over_lsn, struct error *e)
{
    if (took_over_lsn == 0 || timeline != position->timeline + 1)
        return error_set(e, ERROR_FATAL,
            "Postgres went from timeline %" PRIu32 " to %" PRIu32
            ", and whether it has all that was published cannot be "
            "told: ALTER ROLE … REPLICATION lets the relay ask",
            position->timeline, timeline);
    return timeline_branched(position, took_over_lsn, e);
}

static bool timeline_ask_history(
    const char *dsn, const char *application_name, const struct position *position, uint32_t timeline, struct error *e)
{
    CLEANUP(pg_conn_finish) PGconn *conn = NULL;
    char command[COMMAND_MAX];

    snprintf(command, sizeof command, "TIMELINE_HISTORY %" PRIu32, timeline);
    if (!wal_connect(dsn, application_name, true, &conn, e))
        return false;

    CLEANUP(pg_result_clear) PGresult *result = PQexec(conn, command);
    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1)
        return pg_error_from_result(result, e);
    return timeline_check_history(PQgetvalue(result, 0, 1), position, e);
}

bool timeline_check(PGconn *conn, const char *dsn, const char *application_name, const struct position *position,
    uint32_t timeline, struct error *e)
{
    CLEANUP(pg_result_clear) PGresult *promotion = NULL;

    if (position->timeline == 0 || position->timeline == timeline || position_lsn(position) == 0)
        return true;
    if (!wal_query(conn, &sql_promotion, NULL, 0, &promotion, e))
        return false;
    if (*PQgetvalue(promotion, 0, 0) == 't')
        return timeline_ask_history(dsn, application_name, position, timeline, e);
    return timeline_check_promotion(position, timeline,
        *PQgetvalue(promotion, 0, 1) == 't' ? strtoull(PQgetvalue(promotion, 0, 2), NULL, 10) : 0, e);
}
