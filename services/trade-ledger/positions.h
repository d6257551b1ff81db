/* positions.h -- what is held, what it cost, what was gained. Pure.
 *
 * The rule is average cost, over one account's movements in the order they were booked:
 *
 *   bought      (a trade of the asset's own market) adds its quantity at what was paid. Fees are in it: who buys gets
 * less of the asset, who sells gets less of the money. sold        takes from what was bought, and its share of the
 * cost with it: cost × sold / bought, rounded down; what remains stays with the rest, so that nothing is lost over
 * time. Proceeds less that cost are realised. came in     otherwise (a top-up, a transfer, interest, another market's
 * trade): a quantity without a known cost. It earns no profit: what a sale takes from it, once all that was bought is
 * sold, counts as proceeds without cost. went out    otherwise: first from what has no known cost, then from what was
 * bought, with its share of the cost; nothing is realised.
 *
 * So quantity + without_cost is the account's total at any time, and what was paid is cost + cost of sales + cost that
 * went out, to the minor unit. */
#pragma once

#include "types.h"

struct position {
    int64_t quantity;     /* bought, with known cost */
    int64_t without_cost; /* the rest of the account */
    __int128 cost;        /* of quantity, in the quote's minor units */
    __int128 realised;    /* proceeds less cost of what was sold */
    __int128 cost_of_sales, cost_gone;
    __int128 proceeds_without_cost;
    int64_t last_entry_id;
};

struct position_move {
    int64_t base_delta;
    int64_t quote_delta; /* of the same journal; 0 unless it is a trade of the asset's own market */
};

void position_move(struct position *position, const struct position_move *move);

/* Of `quantity` minor units of the base at a price, rounded down. */
__int128 position_value(const struct market *market, int64_t quantity, int64_t price_ticks);

/* The market that an asset is valued in: of those with it as their base the one that was made first; NULL: none. */
struct markets;
const struct market *position_market(const struct markets *markets, int32_t asset_id);

/* What was computed already, by account; locks. */
struct position_cache;
struct position_cache *position_cache_new(void);
void position_cache_free(struct position_cache *cache);
