/* timeline.h -- a Postgres that was promoted since the position was made: has it all that was published? A standby that
 * lagged has not: what readers have seen never happened there, and its next transactions get numbers that the position
 * takes for published ones. */
#pragma once

#include "position.h"

#include <libpq-fe.h>

/* conn is a session on that server, whose timeline is `timeline`; a second one, for replication, is made if the role
 * may. Errors: FATAL: something is lost, or nobody can tell whether it is; TRANSIENT. */
MUST_CHECK bool timeline_check(PGconn *conn, const char *dsn, const char *application_name,
    const struct position *position, uint32_t timeline, struct error *e);

/* history: of Postgres, lines of timeline, where it was left, why. Errors: FATAL. */
MUST_CHECK bool timeline_check_history(const char *history, const struct position *position, struct error *e);

/* Without that right: the end of the log that a promoted standby took over tells as much as long as it has not been
 * started again and was promoted once. took_over_lsn 0: not known. Errors: FATAL. */
MUST_CHECK bool timeline_check_promotion(
    const struct position *position, uint32_t timeline, uint64_t took_over_lsn, struct error *e);
