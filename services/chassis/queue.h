/* queue.h -- calls that wait for a worker. Bounded: a full queue refuses. Any thread. */
#pragma once

#include "call.h"

struct queue;

struct queue *queue_new(size_t max);
void queue_free(struct queue *queue);                               /* empty, and nobody waits */
MUST_CHECK bool queue_push(struct queue *queue, struct call *call); /* false: full, the call is still the caller's */
/* Waits for calls and takes at most max of them in order. 0: stopped, and nothing is left. */
size_t queue_pop(struct queue *queue, struct call **ret_calls, size_t max);
void queue_stop(struct queue *queue);
size_t queue_depth(struct queue *queue);
