/* feed.h -- a recorded order feed turned into steps: the book as the feed tells it, and for each message the commands
 * that make an engine do the same, with what must then be seen.
 *
 * An order that appears becomes a GTC limit order; what is taken off it an amendment downwards, or a cancel; a
 * replacement a cancel and a new order; an execution an IOC order from the other side at the resting order's price and
 * of the executed size, with the expectation that it hits this very order. After each message the level it touched is
 * expected to be as the feed has it, and every FEED_COUNT_EVERY messages the number of open orders. */
#pragma once

#include "steps.h"

enum { FEED_COUNT_EVERY = 100, FEED_ORDERS_MAX = 1 << 24 };

struct feed;

/* Steps are written to `out`, the market's first. */
struct feed *feed_new(FILE *out, const char *symbol);
void feed_free(struct feed *feed);
DEFINE_CLEANUP(struct feed *, feed_free)

/* One message each. false: it cannot be (unknown order, more than is left, id in use): nothing is written, it is
 * counted. at_us never goes back. */
bool feed_add(struct feed *feed, int64_t at_us, uint64_t order_id, uint8_t side, int64_t price_ticks, int64_t lots);
bool feed_reduce(struct feed *feed, int64_t at_us, uint64_t order_id, int64_t lots); /* cancelled in part */
bool feed_delete(struct feed *feed, int64_t at_us, uint64_t order_id);
bool feed_execute(struct feed *feed, int64_t at_us, uint64_t order_id, int64_t lots);
bool feed_replace(
    struct feed *feed, int64_t at_us, uint64_t order_id, uint64_t new_id, int64_t price_ticks, int64_t lots);

/* Side and price of an open order; false: there is none with this id. */
bool feed_look(const struct feed *feed, uint64_t order_id, uint8_t *ret_side, int64_t *ret_price_ticks);

/* What is open at a price. */
int64_t feed_lots_at(const struct feed *feed, uint8_t side, int64_t price_ticks);

/* What the recording itself says of its book, from the touch; lots 0: no such level. */
void feed_expect_rank(struct feed *feed, uint8_t side, uint32_t rank, int64_t price_ticks, int64_t lots);

/* One line of what was read, to standard error. */
void feed_report(const struct feed *feed, const char *path);
