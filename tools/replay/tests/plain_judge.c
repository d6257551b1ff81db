#include "plain_book.h"

enum { PPM = 1000000 };

static bool fits_63_bits(__int128 value)
{
    return value >= 0 && value <= INT64_MAX;
}

static bool hold_is_right(const struct plain_market *market, const struct step_order *order)
{
    const struct engine_command *command = &order->command;
    __int128 base = (__int128)command->quantity_lots * market->config.lot_minor;
    if (order->more.quote_minor != 0) {
        if (command->type != ENGINE_MARKET || order->more.quote_minor < 0)
            return false;
        if (command->side == ENGINE_BUY)
            return command->quantity_lots == 0 && command->hold_minor == order->more.quote_minor;
        return command->quantity_lots > 0 && fits_63_bits(base) && command->hold_minor == base;
    }
    if (command->quantity_lots <= 0)
        return false;
    __int128 lots_at_price = (__int128)command->price_ticks * command->quantity_lots;
    if (!fits_63_bits(lots_at_price) || !fits_63_bits(base))
        return false;
    __int128 notional = lots_at_price * market->config.notional_unit_minor;
    return fits_63_bits(notional) && command->hold_minor == (command->side == ENGINE_BUY ? notional : base);
}

static bool judge_place(struct plain *plain, const struct plain_market *market, const struct step_order *order)
{
    const struct engine_command *command = &order->command;
    const struct engine_order_more *more = &order->more;
    bool stops = command->type == ENGINE_STOP || command->type == ENGINE_STOP_LIMIT;
    bool ends = command->time_in_force == ENGINE_GTD;
    uint16_t anywhere;
    if (command->order_id == 0 || command->user_id == 0 || command->price_ticks <= 0)
        return false;
    if (command->side < 1 || command->side > 2 || command->type < 1 || command->type > 4)
        return false;
    if (command->time_in_force < 1 || command->time_in_force > 4)
        return false;
    if (command->post_only > ENGINE_POST_OR_SLIDE || command->self_trade > ENGINE_DECREMENT)
        return false;
    if (stops ? more->stop_price_ticks <= 0 : more->stop_price_ticks != 0)
        return false;
    if (ends ? more->expires_at_us <= 0 : more->expires_at_us != 0)
        return false;
    if (more->maker_fee_ppm > PPM || more->taker_fee_ppm > PPM)
        return false;
    if (more->display_lots < 0 || more->display_lots > command->quantity_lots)
        return false;
    if (more->quote_minor != 0 && more->display_lots != 0)
        return false;
    return hold_is_right(market, order) && !plain_find(plain, command->order_id, &anywhere);
}

static bool judge_amend(struct plain_market *market, const struct engine_command *command)
{
    const struct plain_order *order = plain_find_here(market, command->order_id);
    __int128 lots_at_price = (__int128)command->price_ticks * command->quantity_lots;
    if (command->order_id == 0 || command->user_id == 0 || command->amend_id == 0 || command->hold_minor < 0 ||
        command->price_ticks <= 0 || command->quantity_lots <= 0)
        return false;
    if (!fits_63_bits(lots_at_price) || !fits_63_bits(lots_at_price * market->config.notional_unit_minor) ||
        !fits_63_bits((__int128)command->quantity_lots * market->config.lot_minor))
        return false;
    if (order)
        return command->side == 0 || command->side == order->side;
    return command->side == ENGINE_BUY || command->side == ENGINE_SELL ||
           (command->side == 0 && command->hold_minor == 0);
}

static bool judge_quotes(struct plain *plain, const struct plain_market *market, const struct step *step)
{
    if (step->order.command.user_id == 0 || step->quote_set == 0 || step->quotes_count > ENGINE_QUOTES_MAX)
        return false;
    for (uint32_t i = 0; i < step->quotes_count; i++) {
        const struct engine_command *command = &step->quotes[i].command;
        if (command->user_id != step->order.command.user_id || command->type != ENGINE_LIMIT ||
            command->time_in_force != ENGINE_GTC || !judge_place(plain, market, &step->quotes[i]))
            return false;
        for (uint32_t j = 0; j < i; j++)
            if (step->quotes[j].command.order_id == command->order_id)
                return false;
    }
    return true;
}

bool plain_judge(struct plain *plain, struct plain_market *market, const struct step *step)
{
    const struct engine_command *command = &step->order.command;
    switch ((enum engine_command_kind)command->kind) {
    case ENGINE_PLACE:
        return judge_place(plain, market, &step->order);
    case ENGINE_CANCEL:
        return command->order_id != 0 && command->user_id != 0;
    case ENGINE_AMEND:
        return judge_amend(market, command);
    case ENGINE_TICK:
        return true;
    case ENGINE_CANCEL_ALL:
    case ENGINE_KILL_SWITCH:
        return command->user_id != 0;
    case ENGINE_MASS_QUOTE:
        return judge_quotes(plain, market, step);
    case ENGINE_REFERENCE:
        return command->price_ticks > 0;
    }
    return false;
}
