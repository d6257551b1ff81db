/* spsc.h -- a plain queue of bytes from one thread to one other: a ring, two counters, each with the last seen value of
 * the other beside it. What is put in comes out in the same pieces' order, not necessarily in the same pieces. */
#pragma once

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { SPSC_SIZE = 1 << 20 };

struct spsc {
    struct {
        _Atomic uint64_t tail; /* bytes ever put */
        uint64_t seen_head;
    } producer __attribute__((aligned(128)));
    struct {
        _Atomic uint64_t head; /* bytes ever taken */
        uint64_t seen_tail;
    } consumer __attribute__((aligned(128)));
    _Atomic int closed __attribute__((aligned(128)));
    unsigned char bytes[SPSC_SIZE] __attribute__((aligned(128)));
};

/* Waits while the ring is full. `size` is a multiple of 8, at most half of the ring; a piece that does not fit before
 * the end of the ring is put in two. */
static inline void spsc_put(struct spsc *queue, const void *data, size_t size)
{
    uint64_t tail = atomic_load_explicit(&queue->producer.tail, memory_order_relaxed);
    while (tail + size - queue->producer.seen_head > SPSC_SIZE) {
        queue->producer.seen_head = atomic_load_explicit(&queue->consumer.head, memory_order_acquire);
        if (tail + size - queue->producer.seen_head > SPSC_SIZE)
            sched_yield();
    }
    size_t at = tail % SPSC_SIZE, first = size < SPSC_SIZE - at ? size : SPSC_SIZE - at;
    memcpy(queue->bytes + at, data, first);
    if (first < size)
        memcpy(queue->bytes, (const unsigned char *)data + first, size - first);
    atomic_store_explicit(&queue->producer.tail, tail + size, memory_order_release);
}

static inline void spsc_close(struct spsc *queue)
{
    atomic_store_explicit(&queue->closed, 1, memory_order_release);
}

/* Gives what is there without a seam, in *ret_data; 0: closed and empty. */
static inline size_t spsc_peek(struct spsc *queue, const unsigned char **ret_data)
{
    uint64_t head = atomic_load_explicit(&queue->consumer.head, memory_order_relaxed);
    while (queue->consumer.seen_tail == head) {
        int closed = atomic_load_explicit(&queue->closed, memory_order_acquire);
        queue->consumer.seen_tail = atomic_load_explicit(&queue->producer.tail, memory_order_acquire);
        if (queue->consumer.seen_tail == head && closed)
            return 0;
        if (queue->consumer.seen_tail == head)
            __builtin_ia32_pause();
    }
    size_t at = head % SPSC_SIZE, there = queue->consumer.seen_tail - head;
    *ret_data = queue->bytes + at;
    return there < SPSC_SIZE - at ? there : SPSC_SIZE - at;
}

static inline void spsc_done(struct spsc *queue, size_t size)
{
    uint64_t head = atomic_load_explicit(&queue->consumer.head, memory_order_relaxed);
    atomic_store_explicit(&queue->consumer.head, head + size, memory_order_release);
}
