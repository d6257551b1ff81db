/* sample_service.c -- a small service on the chassis, for its tests: one route of each kind. */
#include "service.h"

#include <stdatomic.h>
#include <time.h>

struct settings {
    int64_t limit;
};

static const struct config_item settings[] = {
    { "SAMPLE_LIMIT", CONFIG_INT, offsetof(struct settings, limit), "10", "nothing in particular", .min = 1,
        .max = 100 },
    { 0 },
};

static const struct pg_statement insert_items = { "sample_insert_items",
    "INSERT INTO sample_items (name, xid) SELECT name, pg_current_xact_id() FROM unnest($1::text[]) AS t(name)" };
static const struct pg_statement select_item = { "sample_select_item",
    "SELECT count(*) FROM sample_items WHERE name = $1" };
static const struct pg_statement sleep_ms = { "sample_sleep_ms", "SELECT pg_sleep($1 / 1000.0)::text" };

static bool post_echo(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)pg, (void)outbox, (void)e;
    reply->json = json_incref(request->json);
    return true;
}

static bool get_params(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    char word[64] = "";
    int64_t limit = 0;
    (void)pg, (void)outbox;
    query_get(request->query, "word", word, sizeof word);
    if (!query_int(request->query, "limit", 10, 1, 100, &limit, e))
        return false;
    reply->json = json_pack("{s:s, s:s, s:s, s:I, s:s}", "a", request->params[0], "b", request->params[1], "word", word,
        "limit", (json_int_t)limit, "path", request->path);
    return true;
}

static bool get_item(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *found = NULL;
    (void)outbox;
    pg_arg_text(pg, request->params[0]);
    if (!pg_query(pg, &select_item, &found, e))
        return false;
    reply->json = json_pack("{s:I}", "count", (json_int_t)pg_get_int64(found, 0, 0));
    return true;
}

/* A write behind a read-only route: the database must refuse it. */
static bool get_writing(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    const char *const names[] = { "never" };
    (void)outbox, (void)request, (void)reply;
    pg_arg_texts(pg, names, 1);
    return pg_query(pg, &insert_items, NULL, e);
}

static bool post_sleep(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    int64_t ms = 0;
    (void)outbox;
    if (!query_int(request->query, "ms", 0, 0, 10000, &ms, e))
        return false;
    pg_arg_int64(pg, ms);
    if (!pg_query(pg, &sleep_ms, NULL, e))
        return false;
    reply->json = json_pack("{s:I}", "slept_ms", (json_int_t)ms);
    return true;
}

static bool get_big(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    int64_t bytes = 0;
    (void)pg, (void)outbox;
    if (!query_int(request->query, "bytes", 0, 0, 64 << 20, &bytes, e))
        return false;
    *reply = (struct http_reply){
        .body = xmalloc((size_t)bytes + 1), .body_len = (size_t)bytes, .content_type = "text/plain"
    };
    memset(reply->body, 'x', (size_t)bytes);
    return true;
}

static bool get_private(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)pg, (void)outbox, (void)e;
    reply->json = json_pack("{s:I}", "user_id", (json_int_t)request->claims.user_id);
    return true;
}

/* {"name": "…"}: "refused" is refused, the rest is stored by one statement. */
static bool post_items(
    struct pg *pg, struct outbox *outbox, struct http_call *const *calls, size_t count, struct error *e)
{
    const char *names[HTTP_BATCH_MAX];
    size_t good = 0;
    (void)outbox;
    for (size_t i = 0; i < count; i++) {
        const char *name = NULL;
        if (!json_get_string(calls[i]->request.json, "name", &name, &calls[i]->error))
            continue;
        if (strcmp(name, "refused") == 0) {
            error_field(&calls[i]->error, ERROR_REFUSED, "", "name", "no such item");
            continue;
        }
        names[good++] = name;
        calls[i]->reply = (struct http_reply){ .status = 201, .json = json_pack("{s:s}", "name", name) };
    }
    pg_arg_texts(pg, names, good);
    return pg_send(pg, &insert_items, NULL, e);
}

/* A fault the chassis must survive: a refusal of one is given as the failure of all. */
static bool post_broken(
    struct pg *pg, struct outbox *outbox, struct http_call *const *calls, size_t count, struct error *e)
{
    (void)pg, (void)outbox, (void)calls, (void)count;
    return error_field(e, ERROR_REFUSED, "", "name", "a batch cannot be refused");
}

/* At its first attempt it does not see that another transaction has the item already. */
static bool post_overtaken(
    struct pg *pg, struct outbox *outbox, struct http_call *const *calls, size_t count, struct error *e)
{
    static const char *const names[] = { "taken" };
    static atomic_bool seen;
    (void)outbox;
    for (size_t i = 0; i < count; i++)
        calls[i]->reply.status = 201;
    if (atomic_exchange(&seen, true))
        return true;
    pg_arg_texts(pg, names, 1);
    return pg_send(pg, &insert_items, NULL, e);
}

/* Takes its time, so that a lane's queue fills. */
static bool post_slow_lane(
    struct pg *pg, struct outbox *outbox, struct http_call *const *calls, size_t count, struct error *e)
{
    (void)pg, (void)outbox, (void)calls, (void)count, (void)e;
    nanosleep(&(struct timespec){ .tv_sec = 1, .tv_nsec = 500 * 1000000L }, NULL);
    return true;
}

static const struct http_route routes[] = {
    { "POST", "/echo", post_echo, .json = true, .no_tx = true },
    { "GET", "/params/:a/x/:b", get_params, .no_tx = true },
    { "GET", "/items/:name", get_item, .read_only = true },
    { "GET", "/writing", get_writing, .read_only = true },
    { "POST", "/sleep", post_sleep },
    { "GET", "/big", get_big, .no_tx = true },
    { "GET", "/private", get_private, .no_tx = true, .auth = HTTP_AUTH_USER },
    { "POST", "/items", .handle_batch = post_items, .json = true, .lane = 1 },
    { "POST", "/keyed", post_echo, .json = true, .no_tx = true, .idempotent = true, .body_max = 256 },
    { "POST", "/broken", .handle_batch = post_broken, .json = true, .lane = 2 },
    { "POST", "/overtaken", .handle_batch = post_overtaken, .json = true, .lane = 2 },
    { "POST", "/slow-lane", .handle_batch = post_slow_lane, .lane = 3 },
    { 0 },
};

int main(int argc, char **argv)
{
    static const struct service service = {
        .name = "sample",
        .port = 8099,
        .settings = settings,
        .settings_size = sizeof(struct settings),
        .routes = routes,
        .database = true,
    };
    return service_main(&service, argc, argv);
}
