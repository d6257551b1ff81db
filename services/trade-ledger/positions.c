#include "positions.h"

#include "markets.h"

#include <assert.h>

static __int128 share(__int128 whole, int64_t part, int64_t of)
{
    assert(part >= 0 && part <= of && of > 0);
    __int128 quotient = whole / of, rest = whole % of; /* whole × part would not fit for the largest of both */
    return quotient * part + rest * part / of;
}

/* Takes from what was bought; returns its cost. */
static __int128 take_bought(struct position *position, int64_t quantity)
{
    if (quantity == 0)
        return 0;
    __int128 cost = share(position->cost, quantity, position->quantity);
    position->quantity -= quantity;
    position->cost -= cost;
    return cost;
}

static void sell(struct position *position, int64_t sold, int64_t proceeds)
{
    int64_t bought = sold < position->quantity ? sold : position->quantity;
    __int128 proceeds_bought = share(proceeds, bought, sold);
    __int128 cost = take_bought(position, bought);
    position->cost_of_sales += cost;
    position->realised += proceeds_bought - cost;
    position->without_cost -= sold - bought;
    position->proceeds_without_cost += proceeds - proceeds_bought;
}

static void go_out(struct position *position, int64_t gone)
{
    int64_t unknown = gone < position->without_cost ? gone : position->without_cost;
    if (unknown < 0) /* an overdrawn account: it goes further below */
        unknown = 0;
    int64_t bought = gone - unknown < position->quantity ? gone - unknown : position->quantity;
    position->cost_gone += take_bought(position, bought);
    position->without_cost -= gone - bought;
}

void position_move(struct position *position, const struct position_move *move)
{
    if (move->base_delta > 0 && move->quote_delta < 0) {
        position->quantity += move->base_delta;
        position->cost -= move->quote_delta;
    } else if (move->base_delta < 0 && move->quote_delta > 0) {
        sell(position, -move->base_delta, move->quote_delta);
    } else if (move->base_delta > 0) {
        position->without_cost += move->base_delta;
    } else if (move->base_delta < 0) {
        go_out(position, -move->base_delta);
    }
}

__int128 position_value(const struct market *market, int64_t quantity, int64_t price_ticks)
{
    __int128 lot_value = (__int128)price_ticks * market->notional_unit_minor; /* a notional of one lot: below 2^63 */
    return lot_value * (quantity / market->lot_minor) + lot_value * (quantity % market->lot_minor) / market->lot_minor;
}

const struct market *position_market(const struct markets *markets, int32_t asset_id)
{
    const struct market *found = NULL;
    for (size_t i = 0; i < markets->market_count; i++) {
        const struct market *market = &markets->markets[i];
        if (market->base->id == asset_id && (!found || market->id < found->id))
            found = market;
    }
    return found;
}
