#include "random_steps.h"

#include <stdio.h>
#include <string.h>

enum { MARKETS = 2, QUOTES_USUAL_MAX = 8 };

static uint64_t next_random(struct random_steps *steps)
{
    uint64_t z = steps->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t below(struct random_steps *steps, uint64_t limit)
{
    return next_random(steps) % limit;
}

static bool one_in(struct random_steps *steps, uint64_t n)
{
    return below(steps, n) == 0;
}

static int64_t some_price(struct random_steps *steps)
{
    const struct random_regime *regime = steps->regime;
    return regime->middle_ticks - regime->span_ticks / 2 + (int64_t)below(steps, (uint64_t)regime->span_ticks);
}

/* Buys lower, sells higher, with an overlap in which they trade. */
static int64_t price_for(struct random_steps *steps, uint8_t side)
{
    int64_t lean = steps->regime->span_ticks / 4;
    int64_t price = some_price(steps) + (side == ENGINE_BUY ? -lean : lean);
    return price > 0 ? price : 1;
}

static int64_t some_lots(struct random_steps *steps)
{
    return 1 + (int64_t)below(steps, (uint64_t)steps->regime->lots_max);
}

static struct plain_order *some_open(struct random_steps *steps, struct plain_market *market)
{
    return market->count > 0 ? &market->orders[below(steps, market->count)] : NULL;
}

/* ---- Orders ---- */

static void by_quote_amount(struct random_steps *steps, struct step_order *order, int64_t unit_minor)
{
    order->more.quote_minor =
        1 + (int64_t)below(steps, (uint64_t)(order->command.price_ticks * unit_minor)) * some_lots(steps);
    if (order->command.side == ENGINE_BUY)
        order->command.quantity_lots = 0;
}

static void decorate(struct random_steps *steps, struct step_order *order)
{
    struct engine_command *command = &order->command;
    bool can_rest = command->time_in_force == ENGINE_GTC || command->time_in_force == ENGINE_GTD;
    if (one_in(steps, 5) && (can_rest || one_in(steps, 10)))
        order->more.display_lots = 1 + (int64_t)below(steps, (uint64_t)command->quantity_lots);
    if (one_in(steps, 6) && (can_rest || one_in(steps, 10)))
        command->post_only = (uint8_t)(1 + below(steps, 2));
    if (one_in(steps, 4)) {
        order->more.has_fees = true;
        order->more.maker_fee_ppm = (uint32_t)below(steps, one_in(steps, 20) ? 1000001 : 3000);
        order->more.taker_fee_ppm = (uint32_t)below(steps, 3000);
    }
}

/* A valid order; what the market makes of it is another matter. */
static void make_order(struct random_steps *steps, const struct plain_market *market, struct step_order *order)
{
    static const uint8_t types[] = { 1, 1, 1, 1, 1, 1, 1, 2, 3, 4 };
    struct engine_command *command = &order->command;
    command->kind = ENGINE_PLACE;
    command->order_id = steps->order_id += 1 + below(steps, 3);
    command->user_id = 1 + below(steps, steps->regime->users);
    command->side = (uint8_t)(1 + below(steps, 2));
    command->type = types[below(steps, sizeof types)];
    command->time_in_force = (uint8_t)(one_in(steps, 2) ? ENGINE_GTC : 1 + below(steps, 4));
    if (command->type == ENGINE_MARKET && !one_in(steps, 10))
        command->time_in_force = one_in(steps, 3) ? ENGINE_FOK : ENGINE_IOC;
    command->self_trade = (uint8_t)below(steps, 5);
    command->price_ticks = price_for(steps, command->side);
    command->quantity_lots = some_lots(steps);
    if (command->type == ENGINE_MARKET && one_in(steps, 2))
        by_quote_amount(steps, order, market->config.notional_unit_minor);
    else
        decorate(steps, order);
    if (command->type == ENGINE_STOP || command->type == ENGINE_STOP_LIMIT)
        order->more.stop_price_ticks = some_price(steps);
    if (command->time_in_force == ENGINE_GTD)
        order->more.expires_at_us = steps->at_us + (int64_t)below(steps, 400) - 5;
    if (order->more.expires_at_us < 0)
        order->more.expires_at_us = 1;
    if (!step_hold(&market->config, order, &command->hold_minor))
        command->hold_minor = 0;
}

/* One field that cannot be: the command must be refused without a trace. */
static void spoil(struct random_steps *steps, struct step_order *order)
{
    struct engine_command *command = &order->command;
    switch (below(steps, 14)) {
    case 0:
        command->order_id = 0;
        break;
    case 1:
        command->user_id = 0;
        break;
    case 2:
        command->side = (uint8_t)(3 * below(steps, 2));
        break;
    case 3:
        command->type = (uint8_t)(5 * below(steps, 2));
        break;
    case 4:
        command->time_in_force = (uint8_t)(5 * below(steps, 2));
        break;
    case 5:
        command->price_ticks = -(int64_t)below(steps, 2);
        break;
    case 6:
        command->quantity_lots = -(int64_t)below(steps, 2);
        break;
    case 7:
        command->hold_minor += one_in(steps, 2) ? 1 : -1;
        break;
    case 8:
        command->post_only = 3;
        break;
    case 9:
        command->self_trade = 5;
        break;
    case 10:
        order->more.stop_price_ticks = order->more.stop_price_ticks ? 0 : 5;
        break;
    case 11:
        order->more.expires_at_us = order->more.expires_at_us ? 0 : 5;
        break;
    case 12:
        order->more.display_lots = command->quantity_lots + 1;
        break;
    default:
        order->more.maker_fee_ppm = 1000001;
    }
}

/* ---- Other commands ---- */

static void make_amend(struct random_steps *steps, struct plain_market *market, struct engine_command *command)
{
    const struct plain_order *order = some_open(steps, market);
    command->kind = ENGINE_AMEND;
    command->amend_id = ++steps->amend_id;
    command->order_id = order && !one_in(steps, 10) ? order->order_id : 1 + below(steps, steps->order_id + 1);
    command->user_id = order && !one_in(steps, 15) ? order->user_id : 1 + below(steps, steps->regime->users);
    command->side = order && !one_in(steps, 10) ? order->side : (uint8_t)below(steps, 3);
    command->price_ticks = order && one_in(steps, 2) ? order->limit_ticks : price_for(steps, command->side);
    int64_t lots = order ? order->filled_lots + order->left_lots : 1;
    command->quantity_lots = one_in(steps, 3) ? lots : 1 + (int64_t)below(steps, (uint64_t)lots + (uint64_t)lots / 2);
    if (!order)
        return;
    int64_t left = command->quantity_lots - order->filled_lots;
    int64_t needed = order->side == ENGINE_BUY ? command->price_ticks * left * market->config.notional_unit_minor
                                               : left * market->config.lot_minor;
    if (needed > order->hold_minor)
        command->hold_minor = needed - order->hold_minor - (one_in(steps, 10) ? 1 : 0);
    if (one_in(steps, 5))
        command->hold_minor += (int64_t)below(steps, 1000);
}

static void make_cancel(struct random_steps *steps, struct plain_market *market, struct engine_command *command)
{
    const struct plain_order *order = some_open(steps, market);
    command->kind = ENGINE_CANCEL;
    command->order_id = order && !one_in(steps, 12) ? order->order_id : below(steps, steps->order_id + 2);
    command->user_id = order && !one_in(steps, 15) ? order->user_id : below(steps, steps->regime->users + 1);
}

static void make_quote(struct random_steps *steps, const struct plain_market *market, struct step *step)
{
    step->order.command.kind = ENGINE_MASS_QUOTE;
    step->order.command.user_id = 1 + below(steps, steps->regime->users);
    step->quote_set = (uint16_t)(one_in(steps, 40) ? 0 : 1 + below(steps, 2));
    step->quotes_count = (uint32_t)below(steps, QUOTES_USUAL_MAX);
    step->quotes = xcalloc(step->quotes_count + 1, sizeof *step->quotes);
    for (uint32_t i = 0; i < step->quotes_count; i++) {
        struct step_order *order = &step->quotes[i];
        make_order(steps, market, order);
        order->more = (struct engine_order_more){ .display_lots = order->more.display_lots,
            .maker_fee_ppm = order->more.maker_fee_ppm,
            .taker_fee_ppm = order->more.taker_fee_ppm,
            .has_fees = order->more.has_fees };
        if (order->command.quantity_lots == 0)
            order->command.quantity_lots = 1;
        order->command.user_id = step->order.command.user_id;
        order->command.type = ENGINE_LIMIT;
        order->command.time_in_force = one_in(steps, 100) ? ENGINE_IOC : ENGINE_GTC;
        if (!step_hold(&market->config, order, &order->command.hold_minor) || one_in(steps, 100))
            order->command.hold_minor = 0;
    }
}

static void make_config(struct random_steps *steps, uint16_t number, struct step *step)
{
    struct engine_market_config *config = &steps->configs[number];
    const struct random_regime *regime = steps->regime;
    step->kind = STEP_MARKET;
    if (config->symbol[0] == '\0') {
        snprintf(config->symbol, sizeof config->symbol, "M%u", number);
        config->market_id = number + 1u;
        config->base_asset_id = 2;
        config->quote_asset_id = 1;
        config->lot_minor = regime->lot_minor;
        config->notional_unit_minor = regime->unit_minor;
        config->status = ENGINE_OPEN;
    } else if (config->status != ENGINE_OPEN && !one_in(steps, 4)) {
        config->status = ENGINE_OPEN;
    } else {
        config->status = (uint8_t)(one_in(steps, 3) ? ENGINE_AUCTION : 1 + below(steps, 4));
    }
    config->maker_fee_ppm = (uint32_t)below(steps, 3000);
    config->taker_fee_ppm = (uint32_t)below(steps, 3000);
    if (regime->has_limits) {
        config->price_band_ppm = one_in(steps, 2) ? 0 : 1000 + (uint32_t)below(steps, 40000);
        config->price_step_ticks = one_in(steps, 2) ? 0 : (int64_t)below(steps, 4);
        config->quantity_step_lots = one_in(steps, 2) ? 0 : (int64_t)below(steps, 3);
        config->min_price_ticks = one_in(steps, 2) ? 0 : regime->middle_ticks - (int64_t)below(steps, 30);
        config->max_price_ticks = one_in(steps, 2) ? 0 : regime->middle_ticks + (int64_t)below(steps, 30);
        config->max_quantity_lots = one_in(steps, 2) ? 0 : 1 + (int64_t)below(steps, (uint64_t)regime->lots_max);
        config->min_notional_minor =
            one_in(steps, 2) ? 0 : (int64_t)below(steps, (uint64_t)(2 * regime->middle_ticks * regime->unit_minor));
        config->max_notional_minor =
            one_in(steps, 3) ? regime->middle_ticks * regime->unit_minor * regime->lots_max / 2 : 0;
    }
    step->config = *config;
}

static void make_command(struct random_steps *steps, struct plain_market *market, struct step *step)
{
    struct engine_command *command = &step->order.command;
    uint64_t dice = below(steps, 1000);
    bool crowded = market->count > steps->regime->open_max;
    if (dice < (crowded ? 350u : 650u)) {
        make_order(steps, market, &step->order);
        if (one_in(steps, 40))
            spoil(steps, &step->order);
        else if (one_in(steps, 200) && market->count > 0)
            command->order_id = some_open(steps, market)->order_id;
    } else if (dice < 800) {
        make_cancel(steps, market, command);
    } else if (dice < 925) {
        make_amend(steps, market, command);
    } else if (dice < 940) {
        command->kind = ENGINE_TICK;
    } else if (dice < 948) {
        command->kind = ENGINE_CANCEL_ALL;
        command->user_id = below(steps, steps->regime->users + 1);
    } else if (dice < 980) {
        make_quote(steps, market, step);
    } else if (dice < 988) {
        command->kind = ENGINE_KILL_SWITCH;
        command->user_id = market->killed_count > 0 ? market->killed[0] : below(steps, steps->regime->users + 1);
        command->engaged = market->killed_count == 0 || one_in(steps, 6);
    } else {
        command->kind = ENGINE_REFERENCE;
        command->price_ticks = one_in(steps, 20) ? 0 : some_price(steps);
    }
}

void random_step(struct random_steps *steps, struct plain *plain, struct step *ret_step)
{
    *ret_step = (struct step){ .kind = STEP_COMMAND };
    if (steps->markets < MARKETS) {
        make_config(steps, steps->markets++, ret_step);
        return;
    }
    uint16_t number = (uint16_t)(one_in(steps, 4) ? 1 : 0);
    struct plain_market *market = &plain->markets[number];
    if (one_in(steps, market->config.status == ENGINE_OPEN ? 250 : 40)) {
        make_config(steps, number, ret_step);
        return;
    }
    steps->at_us += (int64_t)below(steps, 4);
    make_command(steps, market, ret_step);
    ret_step->order.command.market = number;
    ret_step->order.command.at_us = steps->at_us - (one_in(steps, 30) ? 3 : 0);
}
