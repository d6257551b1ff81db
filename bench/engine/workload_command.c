#include "workload_command.h"

static int64_t hold_for(const struct workload_op *op)
{
    return op->side == WORKLOAD_BUY ? op->price_ticks * op->quantity_lots : op->quantity_lots;
}

struct engine_command workload_command(const struct workload_op *op, uint16_t market, uint64_t at, int64_t *prices)
{
    struct engine_command command = {
        .order_id = op->order_id, .user_id = op->user_id, .at_us = (int64_t)at, .side = op->side, .market = market
    };
    if (op->kind == WORKLOAD_CANCEL) {
        command.kind = ENGINE_CANCEL;
        return command;
    }
    command.price_ticks = op->price_ticks;
    command.quantity_lots = op->quantity_lots;
    if (op->kind == WORKLOAD_MOVE) {
        int64_t rise = op->price_ticks - prices[op->order_id];
        command.kind = ENGINE_AMEND;
        command.amend_id = at;
        command.hold_minor = op->side == WORKLOAD_BUY && rise > 0 ? rise * op->quantity_lots : 0;
    } else {
        command.kind = ENGINE_PLACE;
        command.type = ENGINE_LIMIT;
        command.time_in_force = op->kind == WORKLOAD_IOC ? ENGINE_IOC : ENGINE_GTC;
        command.hold_minor = hold_for(op);
    }
    prices[op->order_id] = op->price_ticks;
    return command;
}
