/* subject.h -- one order book under the benchmark: how it is made, fed and asked for what it did. */
#pragma once

#include "workload.h"

struct result {
    uint64_t fills, quantity_lots, fill_hash;
    unsigned __int128 notional; /* price × quantity, summed */
    uint64_t resting, book_hash;
};

/* How reports leave the book while it is timed. */
enum delivery {
    DELIVERY_NONE,   /* the book tells nothing */
    DELIVERY_BUFFER, /* all events are written into memory */
    DELIVERY_QUEUE,  /* all events are handed to another thread, which reads them */
    DELIVERY_RESULT, /* untimed: fills are counted and hashed into `result` */
};

struct subject {
    const char *name, *what;
    enum delivery delivery; /* when timed */
    void *(*open)(const struct workload *workload, enum delivery delivery);
    /* Operations first … first + count - 1 of the workload's array. */
    void (*apply)(void *book, uint64_t first, uint64_t count);
    void (*flush)(void *book);                             /* all events have left; the other thread has read them */
    void (*result)(void *book, struct result *ret_result); /* after DELIVERY_RESULT */
    void (*close)(void *book);
};

extern const struct subject bare_alone, bare_buffer, bare_queue, core_buffer, core_queue;

static inline void result_fill(
    struct result *result, uint64_t taker, uint64_t maker, int64_t price_ticks, uint64_t quantity_lots)
{
    uint64_t hash = workload_hash(workload_hash(result->fill_hash, taker), maker);
    result->fill_hash = workload_hash(workload_hash(hash, (uint64_t)price_ticks), quantity_lots);
    result->fills++;
    result->quantity_lots += quantity_lots;
    result->notional += (unsigned __int128)quantity_lots * (uint64_t)price_ticks;
}

static inline void result_resting(struct result *result, uint64_t order_id, int64_t price_ticks, uint64_t quantity_lots)
{
    uint64_t hash = workload_hash(workload_hash(result->book_hash, order_id), (uint64_t)price_ticks);
    result->book_hash = workload_hash(hash, quantity_lots);
    result->resting++;
}
