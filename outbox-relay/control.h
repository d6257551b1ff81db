/* control.h -- what is asked of a source's relay: pause, redrive of parked rows, replay. It is stored in the source's
 * own database (table outbox_relay), so it holds across restarts and for whichever relay is the active one; SQL can ask
 * too. Statements for one connection at a time; no state of its own but their text. */
#pragma once

#include "mapping.h"

#include <event_bus/pg.h>

struct control_sql {
    struct pg_statement claim, store, read, pause, retry, replay, parked_count, parked_list;
};

struct control {
    bool paused;
    int64_t redrive; /* requests so far */
    int64_t replay;  /* requests so far; of the last one: */
    int64_t replay_from_id, replay_from_us;
};

/* Makes the statements' texts for a mapping's tables. */
void control_sql_init(struct control_sql *ret_sql, const struct mapping *mapping);
void control_sql_release(struct control_sql *sql); /* zeroed is fine */

/* A statement's text for a mapping's tables: `sql` is the caller's (control_statement_release). */
struct pg_statement control_statement(const struct mapping_sql *sql, const struct pg_statement *template);
void control_statement_release(struct pg_statement *statement);

/* `name` is the source's, with the topic prefix. Errors: as pg_query(). */
MUST_CHECK bool control_read(
    struct pg *pg, const struct control_sql *sql, const char *name, struct control *ret_control, struct error *e);
MUST_CHECK bool control_pause(
    struct pg *pg, const struct control_sql *sql, const char *name, bool paused, struct error *e);
/* topic and key may be NULL: all. */
MUST_CHECK bool control_retry(struct pg *pg, const struct control_sql *sql, const char *name, const char *topic,
    const char *key, size_t *ret_rows, struct error *e);
/* from_id 0: by time, as Postgres reads it ("2026-01-02T03:04:05Z"). */
MUST_CHECK bool control_replay(struct pg *pg, const struct control_sql *sql, const char *name, int64_t from_id,
    const char *from_time, struct error *e);
