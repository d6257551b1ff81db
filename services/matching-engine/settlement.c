#include "settlement.h"

size_t settlement_of_fill(const struct engine_market_config *market, const struct engine_fill *fill,
    struct settlement_leg ret_legs[SETTLEMENT_LEGS_MAX])
{
    bool taker_buys = fill->record.side == ENGINE_BUY;
    const struct engine_party *buyer = taker_buys ? &fill->taker : &fill->maker;
    const struct engine_party *seller = taker_buys ? &fill->maker : &fill->taker;
    int64_t limit_ticks = buyer->limit_ticks;
    int64_t base_minor = fill->quantity_lots * market->lot_minor;
    int64_t paid_minor = fill->price_ticks * fill->quantity_lots * market->notional_unit_minor;
    int64_t held_minor = limit_ticks * fill->quantity_lots * market->notional_unit_minor;
    uint32_t base = market->base_asset_id, quote = market->quote_asset_id;
    size_t count = 0;
    ret_legs[count++] =
        (struct settlement_leg){ buyer->user_id, SETTLEMENT_USER, quote, held_minor - paid_minor, -held_minor };
    ret_legs[count++] =
        (struct settlement_leg){ buyer->user_id, SETTLEMENT_USER, base, base_minor - buyer->fee_minor, 0 };
    ret_legs[count++] = (struct settlement_leg){ seller->user_id, SETTLEMENT_USER, base, 0, -base_minor };
    ret_legs[count++] =
        (struct settlement_leg){ seller->user_id, SETTLEMENT_USER, quote, paid_minor - seller->fee_minor, 0 };
    if (buyer->fee_minor > 0)
        ret_legs[count++] = (struct settlement_leg){ 0, SETTLEMENT_FEES, base, buyer->fee_minor, 0 };
    if (seller->fee_minor > 0)
        ret_legs[count++] = (struct settlement_leg){ 0, SETTLEMENT_FEES, quote, seller->fee_minor, 0 };
    return count;
}

size_t settlement_of_release(const struct engine_market_config *market, enum engine_side side, uint64_t user_id,
    int64_t released_minor, struct settlement_leg ret_legs[SETTLEMENT_LEGS_MAX])
{
    if (released_minor == 0)
        return 0;
    uint32_t asset = side == ENGINE_BUY ? market->quote_asset_id : market->base_asset_id;
    ret_legs[0] = (struct settlement_leg){ user_id, SETTLEMENT_USER, asset, released_minor, -released_minor };
    return 1;
}
