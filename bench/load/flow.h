/* flow.h -- a day of order flow with the shape of a real one, from a seed: the same seed gives the same flow.
 *
 * Shape: sizes by a power law (exponent 2.5 over lots), distance from the touch by a power law in ticks, arrivals in
 * clusters (a self-exciting rate), four of five orders passive, four of five resting orders cancelled before they trade
 * (as long as the caller keeps a few thousand open), a price that drifts as a random walk. Pure; the caller keeps the
 * orders and says which are still open. */
#pragma once

#include <event_bus/base.h>

enum flow_kind { FLOW_PLACE, FLOW_CANCEL };

struct flow_step {
    enum flow_kind kind;
    bool buy, ioc;
    int64_t price_cents;
    int64_t quantity_lots; /* lots of 0.000001 */
    int64_t wait_us;       /* since the step before, for paced replays */
    uint64_t pick;         /* CANCEL: which of the open orders, modulo their number */
};

struct flow {
    uint64_t random;
    int64_t mid_cents;
    double excitement; /* of arrivals; decays */
};

void flow_init(struct flow *flow, uint64_t seed, int64_t mid_cents);
/* open_orders: how many could be cancelled now. */
void flow_next(struct flow *flow, size_t open_orders, struct flow_step *ret_step);
uint64_t flow_random(struct flow *flow);
