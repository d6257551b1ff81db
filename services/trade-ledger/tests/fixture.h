/* fixture.h -- a small world for tests of the pure files: USD, BTC, ETH and two markets, as schemas/trade-ledger/ seeds
 * them. */
#pragma once

#include "batch.h"
#include "posting_rules.h"

enum { USD = 1, BTC = 2, ETH = 3, BTC_USD = 1, ETH_USD = 2 };

static const int64_t USD_UNIT = 100000000, BTC_UNIT = 100000000;

const struct markets *fixture_markets(void);
const struct market *fixture_btc_usd(void);

/* A batch as after a load: `ids` journals, entries (6 each), orders, top-ups and trades may be made. */
struct batch *fixture_batch(struct arena *arena, size_t ids);
struct account *fixture_account(struct batch *batch, uint64_t owner_id, enum account_kind kind, int32_t asset_id);

/* What the engine would emit for an execution or a release, by its own formulas. Allocated
 * in the arena. */
struct fixture_fill {
    const struct market *market;
    const struct order *maker, *taker;
    int64_t price_ticks, quantity_lots;
    uint64_t trade_id;
    int64_t maker_fee, taker_fee;
};
Penstock__Ledger__V1__Posting *fixture_fill_posting(struct arena *arena, const struct fixture_fill *fill);
Penstock__Ledger__V1__Posting *fixture_release_posting(
    struct arena *arena, const struct market *market, const struct order *order, int status, int reason);
Penstock__Ledger__V1__PostingsEmitted *fixture_event(struct arena *arena, const struct market *market,
    uint64_t posting_seq, Penstock__Ledger__V1__Posting *const *postings, size_t count);
