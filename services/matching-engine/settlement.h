/* settlement.h -- what fills and closed orders do to money: legs of double entry. Pure, any thread.
 *
 * A hold is limit × quantity × notional unit of quote for a buy, quantity × lot of base for a sell. A fill of q lots at
 * price p: buyer   quote  held -= limit·q·unit, available += (limit - p)·q·unit       base   available += q·lot - fee
 *   seller  base   held -= q·lot                                               quote  available += p·q·unit - fee
 *   house   fees account of each asset += fee
 * with the buyer's own limit; a buy by quote amount is held what it pays. What an order holds no longer (closed,
 * amended) moves back to available; the record says how much. Per asset the legs sum to zero, and never more is taken
 * from a hold than was put there. All products fit: the engine refuses orders whose hold does not. */
#pragma once

#include "engine_core.h"

enum { SETTLEMENT_LEGS_MAX = 6 };

/* Values are those of penstock.ledger.v1.AccountKind. */
enum settlement_account { SETTLEMENT_USER = 1, SETTLEMENT_FEES = 3 };

struct settlement_leg {
    uint64_t owner_id; /* 0: the house */
    enum settlement_account kind;
    uint32_t asset_id;
    int64_t available_delta_minor, held_delta_minor;
};

/* Both write at most SETTLEMENT_LEGS_MAX legs and return how many. */
size_t settlement_of_fill(const struct engine_market_config *market, const struct engine_fill *fill,
    struct settlement_leg ret_legs[SETTLEMENT_LEGS_MAX]);
/* released_minor of CLOSED, AMENDED or AMEND_REJECTED; no legs if it is 0. */
size_t settlement_of_release(const struct engine_market_config *market, enum engine_side side, uint64_t user_id,
    int64_t released_minor, struct settlement_leg ret_legs[SETTLEMENT_LEGS_MAX]);
