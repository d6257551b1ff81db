/* pools.c -- the threads behind the routes: plain workers, slow workers, one thread for each lane. */
#include "runtime.h"

#include <assert.h>
#include <errno.h>
#include <time.h>
#include <unistd.h>

static double read_depth(void *queue)
{
    return (double)queue_depth(queue);
}

static void pool_init(struct service_runtime *runtime, struct pool *pool, const char *name, size_t count, bool lane)
{
    snprintf(pool->name, sizeof pool->name, "%s", name);
    CLEANUP(xfree) char *labels = xasprintf("queue=\"%s\"", name);
    pool->queue = queue_new((size_t)runtime->common.queue_max);
    pool->count = count;
    pool->workers = xcalloc(count, sizeof *pool->workers);
    metric_gauge_function("queue_depth", labels, "Requests waiting for a worker.", read_depth, pool->queue);
    for (size_t i = 0; i < count; i++)
        pool->workers[i] = (struct worker){
            .queue = pool->queue,
            .pg_options = runtime->service->database ? &runtime->pg : NULL,
            .hurry = &runtime->hurry,
            .batches = lane ? metric_counter("batches_total", labels, "Transactions of batched routes.") : NULL,
            .batched = lane ? metric_counter("batched_requests_total", labels, "Requests in them.") : NULL,
            .batch_max = HTTP_BATCH_MAX,
            .name = pool->name,
        };
}

/* The least of what the lane's routes allow. */
static void limit_batch(struct pool *pool, const struct http_route *spec)
{
    if (spec->batch_max > 0 && spec->batch_max < pool->workers[0].batch_max)
        pool->workers[0].batch_max = spec->batch_max;
}

static uint32_t lane_threads(const struct service_runtime *runtime)
{
    if (runtime->common.lane_threads > 0)
        return (uint32_t)runtime->common.lane_threads;
    const long half = sysconf(_SC_NPROCESSORS_ONLN) / 2;
    const long most = runtime->service->lane_threads_max;
    const long threads = half < most ? half : most;
    return threads > 1 ? (uint32_t)threads : 1;
}

/* A pool for each of the lane's threads, made with its first route. */
static void lane_queues(struct service_runtime *runtime, uint32_t lane, struct route *route)
{
    const uint32_t threads = lane_threads(runtime);
    assert(threads <= ROUTE_QUEUES_MAX);
    for (size_t i = 0; i < runtime->lane_count; i++)
        if (runtime->lane_ids[i] == lane) {
            route->queues[route->queue_count++] = runtime->lanes[i].queue;
            limit_batch(&runtime->lanes[i], route->spec);
        }
    while (route->queue_count < threads) {
        assert(runtime->lane_count < LANES_MAX);
        char name[32];
        snprintf(name, sizeof name, threads == 1 ? "lane-%u" : "lane-%u.%u", lane, route->queue_count + 1);
        struct pool *pool = &runtime->lanes[runtime->lane_count];
        runtime->lane_ids[runtime->lane_count++] = lane;
        pool_init(runtime, pool, name, 1, true);
        limit_batch(pool, route->spec);
        route->queues[route->queue_count++] = pool->queue;
    }
}

static void one_queue(struct route *route, struct queue *queue)
{
    route->queues[0] = queue;
    route->queue_count = 1;
}

static void pool_start(struct service_runtime *runtime, struct pool *pool, void *(*run)(void *))
{
    for (size_t i = 0; i < pool->count; i++) {
        pool->workers[i].server = runtime->server;
        const int failed = pthread_create(&pool->workers[i].thread, NULL, run, &pool->workers[i]);
        assert(!failed);
        pthread_setname_np(pool->workers[i].thread, pool->name);
    }
}

void pools_start(struct service_runtime *runtime)
{
    pool_init(runtime, &runtime->plain, "workers", (size_t)runtime->common.workers, false);
    for (size_t i = 0; i < runtime->router.count; i++) {
        struct route *route = &runtime->router.routes[i];
        if (route->on_loop || route->spec->proxied)
            continue;
        assert(!route->spec->handle != !route->spec->handle_batch);
        if (route->spec->handle_batch) {
            lane_queues(runtime, route->spec->lane, route);
        } else if (!route->spec->slow) {
            one_queue(route, runtime->plain.queue);
        } else {
            if (!runtime->slow.queue)
                pool_init(runtime, &runtime->slow, "slow", (size_t)runtime->common.slow_workers, false);
            one_queue(route, runtime->slow.queue);
        }
    }
    pool_start(runtime, &runtime->plain, worker_run);
    pool_start(runtime, &runtime->slow, worker_run);
    for (size_t i = 0; i < runtime->lane_count; i++)
        pool_start(runtime, &runtime->lanes[i], lane_run);
}

static struct pool *pool_at(struct service_runtime *runtime, size_t i)
{
    return i == 0 ? &runtime->plain : i == 1 ? &runtime->slow : &runtime->lanes[i - 2];
}

void pools_stop(struct service_runtime *runtime)
{
    atomic_store(&runtime->hurry, true);
    for (size_t i = 0; i < runtime->lane_count + 2; i++)
        if (pool_at(runtime, i)->queue)
            queue_stop(pool_at(runtime, i)->queue);
}

/* By the real-time clock: ThreadSanitizer does not know pthread_clockjoin_np(). */
bool thread_join_until(pthread_t thread, int64_t deadline_us)
{
    const int64_t until_us = now_us() + (deadline_us - monotonic_us());
    const struct timespec until = { .tv_sec = until_us / 1000000, .tv_nsec = (until_us % 1000000) * 1000 };
    return pthread_timedjoin_np(thread, NULL, &until) == 0;
}

bool pools_join(struct service_runtime *runtime, int64_t deadline_us)
{
    for (size_t i = 0; i < runtime->lane_count + 2; i++) {
        struct pool *pool = pool_at(runtime, i);
        for (size_t n = 0; n < pool->count; n++)
            if (!thread_join_until(pool->workers[n].thread, deadline_us))
                return false;
    }
    return true;
}

void pools_release(struct service_runtime *runtime)
{
    for (size_t i = 0; i < runtime->lane_count + 2; i++) {
        struct pool *pool = pool_at(runtime, i);
        queue_free(pool->queue);
        xfree(pool->workers);
        *pool = (struct pool){ 0 };
    }
}
