#include "admin.h"

#include "control.h"

#include <stdio.h>
#include <stdlib.h>

enum { NAME_MAX_BYTES = 512, LIST_MAX = 1000, LIST_DEFAULT = 100 };

/* ---- What is asked for ---- */

static bool find_source(const struct http_request *request, size_t *ret_index, struct error *e)
{
    const struct relays *relays = service_state();

    for (size_t i = 0; i < relays->sources.count; i++) {
        if (strcmp(relays->sources.items[i].name, request->params[0]) == 0) {
            *ret_index = i;
            return true;
        }
    }
    return error_set(e, ERROR_NOT_FOUND, "there is no source \"%.60s\" here", request->params[0]);
}

static bool is_local(const char *peer)
{
    return strncmp(peer, "127.", 4) == 0 || strcmp(peer, "::1") == 0 || strncmp(peer, "::ffff:127.", 11) == 0;
}

/* A connection to the source's database, and what its statements say there. */
struct desk {
    const struct relay_source_setting *source;
    struct control_sql sql;
    struct pg *pg;
    char name[NAME_MAX_BYTES];
};

static void desk_close(struct desk *desk)
{
    pg_free(desk->pg);
    control_sql_release(&desk->sql);
}

static bool desk_open(const struct http_request *request, struct desk *desk, struct error *e)
{
    const struct relays *relays = service_state();
    size_t index = 0;

    *desk = (struct desk){ 0 };
    if (!is_local(request->peer))
        return error_set(e, ERROR_DENIED, "the relay is steered from its own machine only");
    if (!find_source(request, &index, e))
        return false;
    desk->source = &relays->sources.items[index];
    snprintf(desk->name, sizeof desk->name, "%s%s", relays->kafka->topic_prefix ? relays->kafka->topic_prefix : "",
        desk->source->name);
    control_sql_init(&desk->sql, &desk->source->mapping);
    return pg_open(
        &(struct pg_options){ .dsn = desk->source->dsn, .application_name = "outbox-relay admin" }, &desk->pg, e);
}

/* ---- Status ---- */

static json_t *status_json(const struct relays *relays, size_t index)
{
    const struct relay_options *options = &relays->options[index];
    struct relay_status status;

    relay_get_status(relays->relays[index], &status);
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:I, s:I, s:s}", "source",
        options->source, "state", relay_state_name(status.state), "mode", options->mode == SOURCE_WAL ? "wal" : "poll",
        "guarantee", options->idempotent ? "idempotent" : "exactly-once", "published_rows",
        (json_int_t)status.published_rows, "lag_rows", (json_int_t)status.waiting_rows, "lag_bytes",
        (json_int_t)status.waiting_bytes, "lag_seconds", status.lag_s, "rows_per_second", status.rows_per_second,
        "in_flight_rows", (json_int_t)status.in_flight_rows, "parked_rows", (json_int_t)status.parked_rows,
        "deleted_rows", (json_int_t)status.deleted_rows, "wal_retained_bytes", (json_int_t)status.retained_bytes,
        "trouble", status.trouble);
}

static bool get_sources(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    const struct relays *relays = service_state();
    json_t *list = json_array();

    (void)pg, (void)outbox, (void)request, (void)e;
    for (size_t i = 0; i < relays->sources.count; i++)
        json_array_append_new(list, status_json(relays, i));
    reply->json = json_pack("{s:o}", "sources", list);
    return true;
}

/* ---- Pause, resume, replay ---- */

static bool set_paused(const struct http_request *request, bool paused, struct http_reply *reply, struct error *e)
{
    struct desk desk;
    bool ok = desk_open(request, &desk, e) && control_pause(desk.pg, &desk.sql, desk.name, paused, e);

    desk_close(&desk);
    if (ok)
        reply->json = json_pack("{s:s, s:b}", "source", request->params[0], "paused", paused);
    return ok;
}

static bool post_pause(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)pg, (void)outbox;
    return set_paused(request, true, reply, e);
}

static bool post_resume(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)pg, (void)outbox;
    return set_paused(request, false, reply, e);
}

/* An outbox id, or else a time as Postgres reads it. */
static int64_t from_id(const char *from)
{
    char *end;
    long long id = strtoll(from, &end, 10);

    return *end == '\0' && id > 0 ? id : 0;
}

static bool post_replay(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    struct desk desk = { 0 };
    const char *from;
    bool ok;

    (void)pg, (void)outbox;
    if (!json_get_string(request->json, "from", &from, e))
        return false;
    ok = desk_open(request, &desk, e);
    if (ok && !control_replay(desk.pg, &desk.sql, desk.name, from_id(from), from, e)) {
        if (e->kind == ERROR_REFUSED)
            error_field(e, ERROR_INVALID, "", "from", "neither an outbox id nor a time: %.60s", from);
        ok = false;
    }
    desk_close(&desk);
    if (ok)
        reply->json = json_pack("{s:s, s:s}", "source", request->params[0], "from", from);
    return ok;
}

/* ---- Parked rows ---- */

static json_t *parked_json(const struct pg_result *rows)
{
    json_t *list = json_array();

    for (size_t i = 0; i < pg_rows(rows); i++) {
        char id[24];

        snprintf(id, sizeof id, "%lld", (long long)pg_get_int64(rows, i, 0));
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:s}", "id", id, "topic", pg_get_text(rows, i, 1),
                      "key", pg_get_text(rows, i, 2), "type", pg_get_text(rows, i, 3), "reason",
                      pg_get_text(rows, i, 4), "whole_topic", pg_get_bool(rows, i, 5), "retry_asked",
                      pg_get_bool(rows, i, 6), "parked_at", pg_get_text(rows, i, 7)));
    }
    return list;
}

static bool get_parked(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    struct desk desk = { 0 };
    int64_t limit;
    bool ok;

    (void)pg, (void)outbox;
    if (!query_int(request->query, "limit", LIST_DEFAULT, 1, LIST_MAX, &limit, e))
        return false;
    ok = desk_open(request, &desk, e);
    if (ok) {
        pg_arg_int64(desk.pg, limit);
        ok = pg_query(desk.pg, &desk.sql.parked_list, &rows, e);
    }
    if (ok)
        reply->json = json_pack("{s:o}", "parked", parked_json(rows));
    desk_close(&desk);
    return ok;
}

static bool post_retry(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    struct desk desk = { 0 };
    const char *topic, *key;
    size_t rows;
    bool ok;

    (void)pg, (void)outbox;
    if (!json_opt_string(request->json, "topic", NULL, &topic, e) ||
        !json_opt_string(request->json, "key", NULL, &key, e))
        return false;
    ok = desk_open(request, &desk, e) && control_retry(desk.pg, &desk.sql, desk.name, topic, key, &rows, e);
    desk_close(&desk);
    if (ok)
        reply->json = json_pack("{s:s, s:I}", "source", request->params[0], "rows", (json_int_t)rows);
    return ok;
}

const struct http_route admin_routes[] = {
    { "GET", "/sources", get_sources, .no_tx = true },
    { "POST", "/sources/:source/pause", post_pause, .no_tx = true },
    { "POST", "/sources/:source/resume", post_resume, .no_tx = true },
    { "POST", "/sources/:source/replay", post_replay, .json = true, .no_tx = true },
    { "GET", "/sources/:source/parked", get_parked, .no_tx = true },
    { "POST", "/sources/:source/parked/retry", post_retry, .json = true, .no_tx = true },
    { 0 },
};
