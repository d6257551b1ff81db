/* worker.h -- threads that run handlers: each owns one database connection and serves one queue. */
#pragma once

#include "queue.h"

#include <pthread.h>
#include <stdatomic.h>

struct server;

enum {
    WORKER_ATTEMPTS_MAX = 5, /* of one transaction that fails for a passing reason */
    WORKER_PAUSE_MS = 25,    /* before the second attempt; doubles */
};

struct worker {
    struct queue *queue;
    const struct pg_options *pg_options; /* NULL: the service has no database */
    struct server *server;               /* where answers go */
    const atomic_bool *hurry;            /* true: no more attempts, the process is ending */
    struct metric *batches, *batched;    /* lanes only */
    size_t batch_max;                    /* likewise: calls in one transaction */
    const char *name;
    struct pg *pg;
    struct outbox *outbox;
    pthread_t thread;
};

/* Both run until the queue is stopped and empty. */
void *worker_run(void *worker); /* workers.c: one call, one transaction */
void *lane_run(void *worker);   /* lanes.c: all that wait, one transaction */

/* ---- Shared by the two ---- */

/* What happens inside one transaction: false rolls back. */
typedef bool (*worker_step)(struct worker *worker, void *context, struct error *e);

/* begin, step, outbox, commit; again after TRANSIENT, with doubling pauses. reset undoes what the step left in memory.
 */
MUST_CHECK bool worker_transaction(struct worker *worker, bool read_only, worker_step step,
    void (*reset)(void *context), void *context, struct error *e);
void worker_release(struct worker *worker);
