#include "control.h"

#include "relay_sql.h"

#include <stdio.h>

struct pg_statement control_statement(const struct mapping_sql *sql, const struct pg_statement *template)
{
    return (struct pg_statement){ template->name, mapping_expand(sql, template->sql) };
}

void control_statement_release(struct pg_statement *statement)
{
    xfree((char *)(uintptr_t)statement->sql);
    *statement = (struct pg_statement){ 0 };
}

void control_sql_init(struct control_sql *ret_sql, const struct mapping *mapping)
{
    struct mapping_sql sql;

    mapping_sql_init(&sql, mapping);
    *ret_sql = (struct control_sql){ .claim = control_statement(&sql, &sql_control_claim),
        .store = control_statement(&sql, &sql_control_store),
        .read = control_statement(&sql, &sql_control_read),
        .pause = control_statement(&sql, &sql_control_pause),
        .retry = control_statement(&sql, &sql_control_retry),
        .replay = control_statement(&sql, &sql_control_replay),
        .parked_count = control_statement(&sql, &sql_parked_count),
        .parked_list = control_statement(&sql, &sql_parked_list) };
    mapping_sql_release(&sql);
}

void control_sql_release(struct control_sql *sql)
{
    struct pg_statement *const all[] = { &sql->claim, &sql->store, &sql->read, &sql->pause, &sql->retry, &sql->replay,
        &sql->parked_count, &sql->parked_list };

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        control_statement_release(all[i]);
}

bool control_read(
    struct pg *pg, const struct control_sql *sql, const char *name, struct control *ret_control, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *result = NULL;

    pg_arg_text(pg, name);
    if (!pg_query(pg, &sql->read, &result, e))
        return false;
    if (pg_rows(result) == 0)
        *ret_control = (struct control){ 0 };
    else
        *ret_control = (struct control){ .paused = pg_get_bool(result, 0, 0),
            .redrive = pg_get_int64(result, 0, 1),
            .replay = pg_get_int64(result, 0, 2),
            .replay_from_id = pg_get_int64(result, 0, 3),
            .replay_from_us = pg_get_int64(result, 0, 4) };
    return true;
}

bool control_pause(struct pg *pg, const struct control_sql *sql, const char *name, bool paused, struct error *e)
{
    pg_arg_text(pg, name);
    pg_arg_bool(pg, paused);
    return pg_query(pg, &sql->pause, NULL, e);
}

bool control_retry(struct pg *pg, const struct control_sql *sql, const char *name, const char *topic, const char *key,
    size_t *ret_rows, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *result = NULL;
    struct bytes key_bytes = { key, key ? strlen(key) : 0 };

    pg_arg_text(pg, name);
    pg_arg_text(pg, topic);
    pg_arg_bytes(pg, key_bytes);
    if (!pg_query(pg, &sql->retry, &result, e))
        return false;
    *ret_rows = pg_affected(result);
    return true;
}

bool control_replay(struct pg *pg, const struct control_sql *sql, const char *name, int64_t from_id,
    const char *from_time, struct error *e)
{
    char id[24];

    snprintf(id, sizeof id, "%lld", (long long)from_id);
    pg_arg_text(pg, name);
    pg_arg_text(pg, from_id ? id : NULL);
    pg_arg_text(pg, from_id ? NULL : from_time);
    return pg_query(pg, &sql->replay, NULL, e);
}
