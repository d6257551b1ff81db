#include <event_bus/inbox.h>

#include "event_bus_sql.h"

#include <assert.h>

/* What the handler has not refused. */
struct asked {
    size_t *origins; /* of each: index of its delivery */
    const char **sources, **ids;
    struct bytes *values;
    size_t count;
};

static struct asked collect(struct arena *arena, const struct delivery *deliveries, size_t count)
{
    struct asked asked = {
        .origins = arena_alloc(arena, count * sizeof *asked.origins),
        .sources = arena_alloc(arena, count * sizeof *asked.sources),
        .ids = arena_alloc(arena, count * sizeof *asked.ids),
        .values = arena_alloc(arena, count * sizeof *asked.values),
    };
    for (size_t i = 0; i < count; i++) {
        if (!error_is(&deliveries[i].verdict, ERROR_NONE))
            continue;
        asked.origins[asked.count] = i;
        asked.sources[asked.count] = deliveries[i].event.source;
        asked.ids[asked.count] = deliveries[i].event.id;
        asked.values[asked.count++] = deliveries[i].event.value;
    }
    return asked;
}

bool inbox_take(struct pg *pg, struct delivery *deliveries, size_t count, bool *ret_fresh, struct error *e)
{
    CLEANUP(arena_free) struct arena *arena = arena_new();
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    struct asked asked = collect(arena, deliveries, count);
    for (size_t i = 0; i < count; i++)
        ret_fresh[i] = false;
    if (asked.count == 0)
        return true;
    pg_arg_texts(pg, asked.sources, asked.count);
    pg_arg_texts(pg, asked.ids, asked.count);
    pg_arg_blobs(pg, asked.values, asked.count);
    if (!pg_query(pg, &sql_event_bus_inbox_take, &rows, e))
        return false;
    assert(pg_rows(rows) == asked.count);
    for (size_t i = 0; i < asked.count; i++) {
        struct delivery *delivery = &deliveries[asked.origins[i]];
        ret_fresh[asked.origins[i]] = pg_get_bool(rows, i, 0);
        if (!pg_get_bool(rows, i, 1))
            error_field(&delivery->verdict, ERROR_REFUSED, "", "ce_id", "%s of %s was asked before, with another value",
                delivery->event.id, delivery->event.source);
    }
    return true;
}
