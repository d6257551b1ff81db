#include "naive.h"

#include <criterion/criterion.h>

static void note(struct naive *naive, struct naive_event event)
{
    cr_assert(naive->events_count < NAIVE_EVENTS_MAX);
    naive->events[naive->events_count++] = event;
}

static bool better(const struct naive_order *a, const struct naive_order *b)
{
    if (a->price_ticks != b->price_ticks)
        return a->side == ENGINE_BUY ? a->price_ticks > b->price_ticks : a->price_ticks < b->price_ticks;
    return a->arrival < b->arrival;
}

const struct naive_order *naive_first(const struct naive *naive, int side, const struct naive_order *after)
{
    const struct naive_order *first = NULL;
    for (size_t i = 0; i < naive->count; i++) {
        const struct naive_order *order = &naive->orders[i];
        if (order->side == side && (!after || better(after, order)) && (!first || better(order, first)))
            first = order;
    }
    return first;
}

static bool acceptable(const struct engine_command *taker, int64_t price_ticks)
{
    return taker->side == ENGINE_BUY ? price_ticks <= taker->price_ticks : price_ticks >= taker->price_ticks;
}

static void take_away(struct naive *naive, const struct naive_order *order)
{
    naive->orders[order - naive->orders] = naive->orders[--naive->count];
}

static bool fillable_whole(const struct naive *naive, const struct engine_command *taker)
{
    int64_t lots = 0;
    const struct naive_order *maker = NULL;
    while (lots < taker->quantity_lots) {
        maker = naive_first(naive, taker->side == ENGINE_BUY ? ENGINE_SELL : ENGINE_BUY, maker);
        if (!maker || !acceptable(taker, maker->price_ticks) || maker->user_id == taker->user_id)
            return false;
        lots += maker->remaining_lots;
    }
    return true;
}

static int supported(const struct engine_command *order)
{
    switch (order->type * 10 + order->time_in_force) {
    case ENGINE_LIMIT * 10 + ENGINE_GTC:
        return true;
    case ENGINE_LIMIT * 10 + ENGINE_IOC:
    case ENGINE_LIMIT * 10 + ENGINE_FOK:
    case ENGINE_MARKET * 10 + ENGINE_IOC:
    case ENGINE_MARKET * 10 + ENGINE_FOK:
        return !order->post_only;
    default:
        return false;
    }
}

static void close(struct naive *naive, const struct engine_command *order, int64_t filled, int status, int reason)
{
    note(naive, (struct naive_event){ .kind = NAIVE_CLOSED,
                    .order_id = order->order_id,
                    .filled_lots = filled,
                    .remaining_lots = order->quantity_lots - filled,
                    .status = status,
                    .reason = reason });
}

static void rest(struct naive *naive, const struct engine_command *order, int64_t filled)
{
    if (naive->count == naive->orders_max) {
        close(naive, order, filled, filled > 0 ? ENGINE_CANCELLED : ENGINE_REJECTED, ENGINE_BOOK_FULL);
        return;
    }
    naive->orders[naive->count++] = (struct naive_order){ .order_id = order->order_id,
        .user_id = order->user_id,
        .arrival = ++naive->arrivals,
        .price_ticks = order->price_ticks,
        .filled_lots = filled,
        .remaining_lots = order->quantity_lots - filled,
        .side = order->side };
    note(naive, (struct naive_event){ .kind = NAIVE_OPENED,
                    .order_id = order->order_id,
                    .filled_lots = filled,
                    .remaining_lots = order->quantity_lots - filled,
                    .status = filled > 0 ? ENGINE_PARTIALLY_FILLED : ENGINE_ACCEPTED });
}

void naive_place(struct naive *naive, const struct engine_command *order)
{
    int other = order->side == ENGINE_BUY ? ENGINE_SELL : ENGINE_BUY;
    int64_t filled = 0;
    const struct naive_order *best = naive_first(naive, other, NULL);
    naive->events_count = 0;
    if (!supported(order))
        return close(naive, order, 0, ENGINE_REJECTED, ENGINE_UNSUPPORTED);
    if (naive->status != ENGINE_OPEN)
        return close(naive, order, 0, ENGINE_REJECTED, ENGINE_MARKET_CLOSED);
    if (order->post_only && best && acceptable(order, best->price_ticks))
        return close(naive, order, 0, ENGINE_REJECTED, ENGINE_POST_ONLY_WOULD_CROSS);
    if (order->time_in_force == ENGINE_FOK && !fillable_whole(naive, order))
        return close(naive, order, 0, ENGINE_CANCELLED, ENGINE_FOK_UNFILLED);
    while (filled < order->quantity_lots && (best = naive_first(naive, other, NULL)) != NULL &&
           acceptable(order, best->price_ticks)) {
        struct naive_order *maker = &naive->orders[best - naive->orders];
        if (maker->user_id == order->user_id)
            return close(naive, order, filled, ENGINE_CANCELLED, ENGINE_SELF_TRADE);
        int64_t wanted = order->quantity_lots - filled;
        int64_t lots = maker->remaining_lots < wanted ? maker->remaining_lots : wanted;
        filled += lots;
        maker->filled_lots += lots;
        maker->remaining_lots -= lots;
        note(naive, (struct naive_event){ .kind = NAIVE_FILL,
                        .order_id = order->order_id,
                        .maker_id = maker->order_id,
                        .price_ticks = maker->price_ticks,
                        .quantity_lots = lots,
                        .filled_lots = filled,
                        .remaining_lots = order->quantity_lots - filled,
                        .maker_remaining_lots = maker->remaining_lots });
        if (maker->remaining_lots == 0)
            take_away(naive, maker);
    }
    if (filled == order->quantity_lots)
        return;
    if (order->time_in_force == ENGINE_GTC)
        rest(naive, order, filled);
    else
        close(naive, order, filled, ENGINE_CANCELLED, ENGINE_IOC_REMAINDER);
}

void naive_cancel(struct naive *naive, uint64_t order_id, uint64_t user_id)
{
    naive->events_count = 0;
    for (size_t i = 0; i < naive->count; i++) {
        struct naive_order *order = &naive->orders[i];
        if (order->order_id == order_id && order->user_id == user_id) {
            note(naive, (struct naive_event){ .kind = NAIVE_CLOSED,
                            .order_id = order_id,
                            .filled_lots = order->filled_lots,
                            .remaining_lots = order->remaining_lots,
                            .status = ENGINE_CANCELLED,
                            .reason = ENGINE_REQUESTED });
            take_away(naive, order);
            return;
        }
    }
    note(naive, (struct naive_event){ .kind = NAIVE_CANCEL_REJECTED, .order_id = order_id });
}
