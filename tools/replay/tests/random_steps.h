/* random_steps.h -- endless commands of all kinds for the matching engine, from a seed, aimed at what is open. */
#pragma once

#include "plain_book.h"

struct random_regime {
    const char *name;
    int64_t middle_ticks, span_ticks; /* prices lie around the middle, half of the span to each side */
    int64_t lots_max;
    int64_t lot_minor, unit_minor;
    uint64_t users;
    size_t open_max; /* about so many orders stay open */
    bool has_limits; /* markets also get steps, bounds and a band */
};

struct random_steps {
    const struct random_regime *regime;
    uint64_t random, order_id, amend_id;
    int64_t at_us;
    struct engine_market_config configs[2];
    uint16_t markets;
};

/* The first steps set the markets up. `plain` is the state so far. */
void random_step(struct random_steps *steps, struct plain *plain, struct step *ret_step);
