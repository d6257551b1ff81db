/* health.c -- GET /health, /health/db and /metrics of every service. */
#include "runtime.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { PROGRESS_MAX_S = 30 }; /* a consumer with work to do and no batch handled for so long is stuck */

static bool consumer_healthy(const struct service_runtime *runtime, const struct consumer_stats *stats)
{
    const int64_t since_us =
        stats->last_progress_us > runtime->started_us ? stats->last_progress_us : runtime->started_us;
    return stats->missing_topics == 0 && (stats->lag == 0 || now_us() - since_us < PROGRESS_MAX_S * 1000000LL);
}

static json_t *consumers_json(struct service_runtime *runtime, bool *healthy)
{
    json_t *list = json_array();
    for (size_t i = 0; i < runtime->reader_count; i++) {
        struct consumer_stats stats;
        consumer_get_stats(runtime->readers[i].consumer, &stats);
        const bool well = consumer_healthy(runtime, &stats);
        *healthy = *healthy && well;
        json_array_append_new(
            list, json_pack("{s:s, s:b, s:i, s:i, s:I, s:I}", "group", runtime->readers[i].subscription->group,
                      "healthy", well, "partitions", (int)stats.assigned, "missing_topics", (int)stats.missing_topics,
                      "lag", (json_int_t)stats.lag, "events", (json_int_t)stats.events));
    }
    return list;
}

static void get_health(struct service_runtime *runtime, struct http_call *call)
{
    char reason[160] = "";
    bool healthy = true;
    json_t *consumers = consumers_json(runtime, &healthy);
    if (!healthy)
        snprintf(reason, sizeof reason, "a consumer makes no progress or misses a topic");
    if (runtime->keys && !keys_loaded(runtime->keys)) {
        healthy = false;
        snprintf(reason, sizeof reason, "the identity service's token keys are not loaded");
    }
    if (runtime->service->healthy && !runtime->service->healthy(runtime->state, reason, sizeof reason))
        healthy = false;
    if (service_stopping(runtime)) {
        healthy = false;
        snprintf(reason, sizeof reason, "stopping");
    }
    json_t *body =
        json_pack("{s:s, s:s, s:I, s:o}", "status", healthy ? "ok" : "unhealthy", "service", runtime->service->name,
            "uptime_s", (json_int_t)((now_us() - runtime->started_us) / 1000000), "consumers", consumers);
    if (!healthy)
        json_object_set_new(body, "reason", json_string(reason));
    call->reply = (struct http_reply){ .status = healthy ? 200 : 503, .json = body };
}

static void get_metrics(struct service_runtime *runtime, struct http_call *call)
{
    readers_count(runtime);
    call->reply = (struct http_reply){ .body = metrics_render(), .content_type = "text/plain; version=0.0.4" };
    call->reply.body_len = strlen(call->reply.body);
}

static const struct pg_statement select_one = { "chassis_health", "SELECT 1::bigint" };

/* On a worker: so it tells too that workers and their connections work. */
static bool get_health_db(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox, (void)request;
    if (!pg) {
        reply->json = json_pack("{s:s, s:b}", "status", "ok", "database", 0);
        return true;
    }
    const int64_t began_us = monotonic_us();
    CLEANUP(pg_result_free) struct pg_result *result = NULL;
    if (!pg_query(pg, &select_one, &result, e))
        return false;
    reply->json = json_pack(
        "{s:s, s:b, s:I}", "status", "ok", "database", 1, "round_trip_us", (json_int_t)(monotonic_us() - began_us));
    return true;
}

const struct http_route health_routes[] = {
    { "GET", "/health" },
    { "GET", "/metrics" },
    { "GET", "/health/db", get_health_db, .read_only = true },
    { 0 },
};

void health_bind(struct router *router)
{
    for (size_t i = 0; i < router->count; i++) {
        if (router->routes[i].spec == &health_routes[0])
            router->routes[i].on_loop = get_health;
        if (router->routes[i].spec == &health_routes[1])
            router->routes[i].on_loop = get_metrics;
    }
}

static double read_resident_bytes(void *context)
{
    (void)context;
    unsigned long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    const int found = fscanf(file, "%lu %lu", &total, &resident);
    fclose(file);
    return found == 2 ? (double)resident * (double)sysconf(_SC_PAGESIZE) : 0;
}

static double read_start_time(void *context)
{
    const struct service_runtime *runtime = context;
    return (double)runtime->started_us / 1e6;
}

/* Scrapes run on the loop thread, as do both counts. */
static double read_pending(void *context)
{
    const struct service_runtime *runtime = context;
    return (double)server_pending(runtime->server);
}

static double read_connections(void *context)
{
    const struct service_runtime *runtime = context;
    return (double)server_connections(runtime->server);
}

void health_metrics(struct service_runtime *runtime)
{
    metric_gauge_function("process_resident_memory_bytes", "", "Resident memory.", read_resident_bytes, NULL);
    metric_gauge_function(
        "process_start_time_seconds", "", "Start of the process, seconds since 1970.", read_start_time, runtime);
    metric_gauge_function("requests_in_flight", "", "Requests received and not answered.", read_pending, runtime);
    metric_gauge_function("connections", "", "Open client connections.", read_connections, runtime);
}
