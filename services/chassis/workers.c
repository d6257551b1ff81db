/* workers.c -- plain routes: a call is a transaction. */
#include "worker.h"

#include "log.h"
#include "server.h"

#include <time.h>

static const struct pg_statement set_read_only = { "chassis_set_read_only", "SET TRANSACTION READ ONLY" };

static bool try_once(struct worker *worker, bool read_only, worker_step step, void *context, struct error *e)
{
    if (!worker->pg_options)
        return step(worker, context, e);
    if (!worker->pg && !pg_open(worker->pg_options, &worker->pg, e))
        return false;
    return pg_begin(worker->pg, e) && (!read_only || pg_send(worker->pg, &set_read_only, NULL, e)) &&
           step(worker, context, e) && outbox_write(worker->outbox, worker->pg, e) && pg_commit(worker->pg, e);
}

static void pause_ms(unsigned ms)
{
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 }, NULL);
}

bool worker_transaction(struct worker *worker, bool read_only, worker_step step, void (*reset)(void *context),
    void *context, struct error *e)
{
    unsigned pause = WORKER_PAUSE_MS;
    for (unsigned attempt = 1;; attempt++) {
        error_clear(e);
        if (try_once(worker, read_only, step, context, e))
            return true;
        if (worker->pg)
            pg_rollback(worker->pg);
        outbox_clear(worker->outbox);
        if (worker->batches && e->code == PG_CODE_UNIQUE_VIOLATION) /* tried again, the handler sees it */
            e->kind = ERROR_TRANSIENT;
        if (e->kind != ERROR_TRANSIENT || attempt == WORKER_ATTEMPTS_MAX || atomic_load(worker->hurry))
            return false;
        log_debug("%s: attempt %u failed: %s", worker->name, attempt, e->message);
        reset(context);
        pause_ms(pause);
        pause *= 2;
    }
}

void worker_release(struct worker *worker)
{
    pg_free(TAKE(worker->pg));
    outbox_free(TAKE(worker->outbox));
}

static bool handle_step(struct worker *worker, void *context, struct error *e)
{
    struct call *call = context;
    return call->route->spec->handle(worker->pg, worker->outbox, &call->http.request, &call->http.reply, e);
}

static void handle_reset(void *context)
{
    struct call *call = context;
    call_reset(&call->http);
}

static void handle(struct worker *worker, struct call *call)
{
    const struct http_route *route = call->route->spec;
    struct error e = { 0 };
    bool done = call_prepare(call, &e);
    if (done && route->no_tx)
        done = route->handle(NULL, worker->outbox, &call->http.request, &call->http.reply, &e);
    else if (done)
        done = worker_transaction(worker, route->read_only, handle_step, handle_reset, call, &e);
    if (done)
        return;
    call->http.error = e;
    if (e.kind == ERROR_NONE)
        error_set(&call->http.error, ERROR_FATAL, "the handler of %s failed without an error", route->pattern);
    if (call->http.error.kind == ERROR_TRANSIENT || call->http.error.kind == ERROR_FATAL)
        log_error(route->pattern, &call->http.error);
}

void *worker_run(void *context)
{
    struct worker *worker = context;
    struct call *call = NULL;
    worker->outbox = outbox_new();
    while (queue_pop(worker->queue, &call, 1) > 0) {
        handle(worker, call);
        call_render(call);
        server_answer(worker->server, &call, 1);
    }
    worker_release(worker);
    return NULL;
}
