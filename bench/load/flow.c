/* flow.c -- see flow.h. Floating point is for shapes only: what leaves is integers. */
#include "flow.h"

#include <math.h>

uint64_t flow_random(struct flow *flow) /* xorshift64*, Vigna 2016 */
{
    flow->random ^= flow->random >> 12;
    flow->random ^= flow->random << 25;
    flow->random ^= flow->random >> 27;
    return flow->random * 2685821657736338717u;
}

static double unit(struct flow *flow) /* (0, 1] */
{
    return (double)((flow_random(flow) >> 11) + 1) / 9007199254740992.0;
}

/* P(X > x) = x^-exponent for x >= 1, cut at `most`. */
static int64_t power_law(struct flow *flow, double exponent, int64_t most)
{
    double x = pow(unit(flow), -1.0 / exponent);
    return x >= (double)most ? most : (int64_t)x;
}

void flow_init(struct flow *flow, uint64_t seed, int64_t mid_cents)
{
    *flow = (struct flow){ .random = seed * 2 + 1, .mid_cents = mid_cents };
    for (int i = 0; i < 8; i++)
        flow_random(flow);
}

void flow_next(struct flow *flow, size_t open_orders, struct flow_step *ret_step)
{
    flow->excitement = flow->excitement * 0.97 + (unit(flow) < 0.02 ? 8.0 : 0.0);
    flow->mid_cents += (int64_t)(flow_random(flow) % 3) - 1;
    if (flow->mid_cents < 100000)
        flow->mid_cents = 100000;
    *ret_step = (struct flow_step){ .wait_us = (int64_t)(-log(unit(flow)) * 1000.0 / (1.0 + flow->excitement)) };
    /* Cancels grow with the book, so that it neither empties nor swells. */
    double cancel = open_orders < 50 ? 0.1 : open_orders > 2000 ? 0.6 : 0.47;
    if (open_orders > 0 && unit(flow) < cancel) {
        ret_step->kind = FLOW_CANCEL;
        ret_step->pick = flow_random(flow);
        return;
    }
    ret_step->kind = FLOW_PLACE;
    ret_step->buy = flow_random(flow) & 1;
    ret_step->quantity_lots = power_law(flow, 1.5, 100000) * 100;
    int64_t distance = power_law(flow, 1.2, 5000) * 100;
    bool aggressive = unit(flow) < 0.2;
    ret_step->ioc = aggressive && unit(flow) < 0.5;
    if (aggressive)
        distance = -distance / 2;
    ret_step->price_cents = ret_step->buy ? flow->mid_cents - distance : flow->mid_cents + distance;
    if (ret_step->price_cents < 1)
        ret_step->price_cents = 1;
}
