/* lanes.c -- batched routes: what arrived while the last commit was in flight is the next batch. Nothing waits for a
 * timer. */
#include "worker.h"

#include "log.h"
#include "server.h"

struct batch {
    struct http_call *calls[HTTP_BATCH_MAX];
    size_t count;
};

/* Calls of one lane may belong to several routes: each route's handler gets its own, in order of first arrival, all in
 * the one transaction. */
static bool batch_step(struct worker *worker, void *context, struct error *e)
{
    struct batch *batch = context;
    struct http_call *same[HTTP_BATCH_MAX];
    bool taken[HTTP_BATCH_MAX] = { false };
    for (size_t i = 0; i < batch->count; i++) {
        if (taken[i])
            continue;
        const struct http_route *route = call_of(batch->calls[i])->route->spec;
        size_t count = 0;
        for (size_t j = i; j < batch->count; j++) {
            if (taken[j] || call_of(batch->calls[j])->route->spec->handle_batch != route->handle_batch)
                continue;
            taken[j] = true;
            same[count++] = batch->calls[j];
        }
        if (!route->handle_batch(worker->pg, worker->outbox, same, count, e))
            return false;
    }
    return true;
}

static void batch_reset(void *context)
{
    struct batch *batch = context;
    for (size_t i = 0; i < batch->count; i++)
        call_reset(batch->calls[i]);
}

static void handle_batch(struct worker *worker, struct batch *batch)
{
    struct error e = { 0 };
    if (worker_transaction(worker, false, batch_step, batch_reset, batch, &e)) {
        crash_point("lane.committed");
        return;
    }
    /* A refusal belongs to one call. As the answer of a whole batch it is a fault of the handler. */
    if (e.kind != ERROR_TRANSIENT && e.kind != ERROR_FATAL) {
        struct error fault;
        error_set(&fault, ERROR_FATAL, "a batch handler failed with %s: %s", error_kind_name(e.kind), e.message);
        e = fault;
    }
    log_error(worker->name, &e);
    batch_reset(batch);
    for (size_t i = 0; i < batch->count; i++)
        batch->calls[i]->error = e;
}

void *lane_run(void *context)
{
    struct worker *worker = context;
    struct call *calls[HTTP_BATCH_MAX];
    struct batch batch;
    size_t count = 0;
    worker->outbox = outbox_new();
    while ((count = queue_pop(worker->queue, calls, worker->batch_max)) > 0) {
        batch.count = 0;
        for (size_t i = 0; i < count; i++)
            if (call_prepare(calls[i], &calls[i]->http.error))
                batch.calls[batch.count++] = &calls[i]->http;
        if (batch.count)
            handle_batch(worker, &batch);
        metric_add(worker->batches, 1);
        metric_add(worker->batched, count);
        server_answer(worker->server, calls, count);
    }
    worker_release(worker);
    return NULL;
}
