#include "fixture.h"

static const struct asset assets[] = { { USD, 8, 1, "USD" }, { BTC, 8, 2, "BTC" }, { ETH, 8, 2, "ETH" } };

static struct market markets[] = {
    { .id = BTC_USD,
        .symbol = "BTC-USD",
        .base = &assets[1],
        .quote = &assets[0],
        .tick_scale = 2,
        .tick_units = 1,
        .lot_minor = 100,
        .notional_unit_minor = 1,
        .tick_size = "0.01",
        .lot_size = "0.000001",
        .min_quantity_lots = 1,
        .max_quantity_lots = 1000000000,
        .max_price_ticks = 100000000,
        .maker_fee_ppm = 1000,
        .taker_fee_ppm = 2000,
        .fee_ceiling_ppm = 2000,
        .market_band_ppm = 50000,
        .reference_price_ticks = 6500000,
        .status = MARKET_OPEN,
        .version = 1,
        .published_version = 1 },
    { .id = ETH_USD,
        .symbol = "ETH-USD",
        .base = &assets[2],
        .quote = &assets[0],
        .tick_scale = 2,
        .tick_units = 5,
        .lot_minor = 1000,
        .notional_unit_minor = 50,
        .tick_size = "0.05",
        .lot_size = "0.00001",
        .min_quantity_lots = 10,
        .max_quantity_lots = 1000000000,
        .max_price_ticks = 10000000,
        .maker_fee_ppm = 0,
        .taker_fee_ppm = 0,
        .fee_ceiling_ppm = 0,
        .market_band_ppm = 1000000,
        .reference_price_ticks = 0,
        .status = MARKET_OPEN,
        .version = 1,
        .published_version = 1 },
};

static const struct markets all = { .assets = (struct asset *)assets,
    .markets = markets,
    .asset_count = ARRAY_LEN(assets),
    .market_count = ARRAY_LEN(markets),
    .references = 1 };

const struct markets *fixture_markets(void)
{
    return &all;
}

const struct market *fixture_btc_usd(void)
{
    return &markets[0];
}

static int64_t *ids_from_one(struct arena *arena, size_t count)
{
    int64_t *ids = arena_alloc(arena, (count + 1) * sizeof *ids);
    for (size_t i = 0; i < count; i++)
        ids[i] = (int64_t)i + 1;
    return ids;
}

struct batch *fixture_batch(struct arena *arena, size_t ids)
{
    struct batch *batch = batch_new(arena, &all, ids, 1700000000000000);
    int64_t *all_ids = ids_from_one(arena, ids * 6);
    batch->order_ids = batch->topup_ids = batch->amend_ids = all_ids;
    ledger_set_ids(batch->ledger, all_ids, ids, ids * 6);
    return batch;
}

struct account *fixture_account(struct batch *batch, uint64_t owner_id, enum account_kind kind, int32_t asset_id)
{
    struct account *account = ledger_account(batch->ledger, owner_id, kind, asset_id);
    struct account fresh = { .id = (int64_t)batch->ledger->account_count + 1,
        .owner_id = owner_id,
        .kind = (int32_t)kind,
        .asset_id = asset_id };
    return account ? account : ledger_add_account(batch->ledger, &fresh);
}

static void add_leg(struct arena *arena, Penstock__Ledger__V1__Posting *posting, uint64_t owner_id,
    enum account_kind kind, int32_t asset_id, int64_t available_delta, int64_t held_delta)
{
    Penstock__Ledger__V1__Leg *leg = arena_alloc(arena, sizeof *leg);
    *leg = (Penstock__Ledger__V1__Leg)PENSTOCK__LEDGER__V1__LEG__INIT;
    leg->owner_id = owner_id;
    leg->kind = (Penstock__Ledger__V1__AccountKind)kind;
    leg->asset_id = (uint32_t)asset_id;
    leg->available_delta_minor = available_delta;
    leg->held_delta_minor = held_delta;
    posting->legs[posting->n_legs++] = leg;
}

static void add_state(struct arena *arena, Penstock__Ledger__V1__Posting *posting, const struct order *order,
    int64_t filled_lots, int status)
{
    Penstock__Ledger__V1__OrderState *state = arena_alloc(arena, sizeof *state);
    *state = (Penstock__Ledger__V1__OrderState)PENSTOCK__LEDGER__V1__ORDER_STATE__INIT;
    state->order_id = (uint64_t)order->id;
    state->user_id = order->user_id;
    state->filled_lots = filled_lots;
    state->remaining_lots = order->quantity_lots - filled_lots;
    state->status = (Penstock__Orders__V1__OrderStatus)status;
    posting->orders[posting->n_orders++] = state;
}

static Penstock__Ledger__V1__Posting *posting_new(struct arena *arena)
{
    Penstock__Ledger__V1__Posting *posting = arena_alloc(arena, sizeof *posting);
    *posting = (Penstock__Ledger__V1__Posting)PENSTOCK__LEDGER__V1__POSTING__INIT;
    posting->legs = arena_alloc(arena, 8 * sizeof *posting->legs);
    posting->orders = arena_alloc(arena, 4 * sizeof *posting->orders);
    return posting;
}

Penstock__Ledger__V1__Posting *fixture_fill_posting(struct arena *arena, const struct fixture_fill *f)
{
    Penstock__Ledger__V1__Posting *posting = posting_new(arena);
    bool taker_buys = f->taker->side == SIDE_BUY;
    const struct order *buyer = taker_buys ? f->taker : f->maker, *seller = taker_buys ? f->maker : f->taker;
    int64_t unit = f->market->notional_unit_minor, q = f->quantity_lots, p = f->price_ticks;
    int64_t buyer_fee = taker_buys ? f->taker_fee : f->maker_fee, seller_fee = taker_buys ? f->maker_fee : f->taker_fee;
    int32_t base = f->market->base->id, quote = f->market->quote->id;
    posting->trade_id = f->trade_id;
    posting->price_ticks = p;
    posting->quantity_lots = q;
    posting->maker_order_id = (uint64_t)f->maker->id;
    posting->taker_order_id = (uint64_t)f->taker->id;
    posting->taker_side = (Penstock__Orders__V1__Side)f->taker->side;
    posting->maker_fee_minor = f->maker_fee;
    posting->taker_fee_minor = f->taker_fee;
    add_leg(arena, posting, buyer->user_id, ACCOUNT_USER, quote, (buyer->price_ticks - p) * q * unit,
        -buyer->price_ticks * q * unit);
    add_leg(arena, posting, buyer->user_id, ACCOUNT_USER, base, q * f->market->lot_minor - buyer_fee, 0);
    add_leg(arena, posting, seller->user_id, ACCOUNT_USER, base, 0, -q * f->market->lot_minor);
    add_leg(arena, posting, seller->user_id, ACCOUNT_USER, quote, p * q * unit - seller_fee, 0);
    if (buyer_fee)
        add_leg(arena, posting, 0, ACCOUNT_FEES, base, buyer_fee, 0);
    if (seller_fee)
        add_leg(arena, posting, 0, ACCOUNT_FEES, quote, seller_fee, 0);
    const struct order *both[] = { f->maker, f->taker };
    for (size_t i = 0; i < 2; i++) {
        int64_t filled = both[i]->filled_lots + q;
        add_state(
            arena, posting, both[i], filled, filled == both[i]->quantity_lots ? ORDER_FILLED : ORDER_PARTIALLY_FILLED);
    }
    return posting;
}

Penstock__Ledger__V1__Posting *fixture_release_posting(
    struct arena *arena, const struct market *market, const struct order *order, int status, int reason)
{
    Penstock__Ledger__V1__Posting *posting = posting_new(arena);
    int64_t left = order->quantity_lots - order->filled_lots;
    bool buy = order->side == SIDE_BUY;
    int64_t held = buy ? order->price_ticks * left * market->notional_unit_minor : left * market->lot_minor;
    add_leg(arena, posting, order->user_id, ACCOUNT_USER, buy ? market->quote->id : market->base->id, held, -held);
    add_state(arena, posting, order, order->filled_lots, status);
    posting->orders[0]->reason = (Penstock__Orders__V1__CancelReason)reason;
    return posting;
}

Penstock__Ledger__V1__PostingsEmitted *fixture_event(struct arena *arena, const struct market *market,
    uint64_t posting_seq, Penstock__Ledger__V1__Posting *const *postings, size_t count)
{
    Penstock__Ledger__V1__PostingsEmitted *event = arena_alloc(arena, sizeof *event);
    *event = (Penstock__Ledger__V1__PostingsEmitted)PENSTOCK__LEDGER__V1__POSTINGS_EMITTED__INIT;
    event->symbol = (char *)market->symbol;
    event->posting_seq = posting_seq;
    event->seq = posting_seq * 10;
    event->at_us = 1700000000000000 + (int64_t)posting_seq;
    event->n_postings = count;
    event->postings = arena_alloc(arena, (count + 1) * sizeof *event->postings);
    for (size_t i = 0; i < count; i++)
        event->postings[i] = postings[i];
    return event;
}
