/* workload.h -- a stream of order book operations in a file, so that every book of a comparison gets the same work.
 *
 * Format, little endian: a head of 64 bytes (magic "PSWORK01", u64 operations of the prefill, u64 operations measured,
 * u64 seed, u64 highest order id, 24 bytes of name, zero-padded), then 32 bytes an operation as in struct workload_op.
 * Prices are ticks, quantities lots. Order ids start at 1 and grow by one with each new order. Buyers' user ids are
 * odd, sellers' even: nobody can meet himself, so that no book needs a rule for it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum workload_kind {
    WORKLOAD_LIMIT = 1, /* good till cancelled */
    WORKLOAD_IOC = 2,   /* trades up to its price at once; a market order has a far price */
    WORKLOAD_CANCEL = 3,
    WORKLOAD_MOVE = 4, /* to another price with all that is left of it; the place in the queue is lost, it may trade */
};

enum workload_side { WORKLOAD_BUY = 1, WORKLOAD_SELL = 2 };

enum { WORKLOAD_NAME_MAX = 24, WORKLOAD_OPERATIONS_MAX = 1 << 26 };

struct workload_op {
    uint64_t order_id;
    int64_t price_ticks;    /* LIMIT, IOC, MOVE */
    uint32_t quantity_lots; /* LIMIT, IOC; of MOVE what the order began with, for books that ask for it */
    uint32_t user_id;       /* of all: the owner */
    uint8_t kind;           /* enum workload_kind */
    uint8_t side;           /* enum workload_side; of CANCEL and MOVE too */
    uint8_t zero[6];
};

struct workload {
    char name[WORKLOAD_NAME_MAX];
    uint64_t seed, prefill, operations, order_id_max;
    struct workload_op *ops; /* prefill, then operations */
};

/* For what is read from its beginning to its end while the clock runs: huge pages, so that walking into the next page
 * takes none of the time. free() gives it back; NULL: no memory. */
void *workload_memory(size_t count, size_t size);

/* All give false after a line on standard error. */
bool workload_read(const char *path, struct workload *ret_workload);
bool workload_write(const char *path, const struct workload *workload);
void workload_release(struct workload *workload);

/* The running hash that all subjects of a comparison compute over taker, maker, price and quantity of each fill, and
 * over id, price and quantity of each order that rests in the end. */
static inline uint64_t workload_hash(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
}
