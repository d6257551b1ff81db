#include "queue.h"

#include <assert.h>
#include <pthread.h>

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct call *first, **end;
    size_t count, max;
    size_t sleepers; /* waiting threads that no wake-up is under way to */
    bool stopping;
};

struct queue *queue_new(size_t max)
{
    struct queue *queue = xcalloc(1, sizeof *queue);
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->filled, NULL);
    queue->end = &queue->first;
    queue->max = max;
    return queue;
}

void queue_free(struct queue *queue)
{
    if (!queue)
        return;
    assert(queue->count == 0);
    pthread_cond_destroy(&queue->filled);
    pthread_mutex_destroy(&queue->lock);
    xfree(queue);
}

bool queue_push(struct queue *queue, struct call *call)
{
    pthread_mutex_lock(&queue->lock);
    const bool accepted = queue->count < queue->max && !queue->stopping;
    bool wake = false;
    if (accepted) {
        call->next = NULL;
        *queue->end = call;
        queue->end = &call->next;
        queue->count++;
        wake = queue->sleepers > 0;
        if (wake)
            queue->sleepers--;
    }
    pthread_mutex_unlock(&queue->lock);
    if (wake)
        pthread_cond_signal(&queue->filled);
    return accepted;
}

size_t queue_pop(struct queue *queue, struct call **ret_calls, size_t max)
{
    pthread_mutex_lock(&queue->lock);
    while (!queue->first && !queue->stopping) {
        queue->sleepers++;
        pthread_cond_wait(&queue->filled, &queue->lock);
    }
    size_t taken = 0;
    while (queue->first && taken < max) {
        ret_calls[taken++] = queue->first;
        queue->first = queue->first->next;
    }
    if (!queue->first)
        queue->end = &queue->first;
    queue->count -= taken;
    pthread_mutex_unlock(&queue->lock);
    return taken;
}

void queue_stop(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->stopping = true;
    pthread_mutex_unlock(&queue->lock);
    pthread_cond_broadcast(&queue->filled);
}

size_t queue_depth(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    const size_t count = queue->count;
    pthread_mutex_unlock(&queue->lock);
    return count;
}
