#include "plain_book.h"

#include <assert.h>
#include <string.h>

enum { PPM = 1000000 };

/* ---- Small ones ---- */

static struct plain_event *event(
    struct plain *plain, const struct plain_market *market, enum plain_event_kind kind, const struct plain_order *order)
{
    assert(plain->events_count < PLAIN_EVENTS_MAX);
    struct plain_event *event = &plain->events[plain->events_count++];
    *event =
        (struct plain_event){ .kind = kind, .order_id = order->order_id, .market = (uint8_t)(market - plain->markets) };
    return event;
}

static bool buys(const struct plain_order *order)
{
    return order->side == ENGINE_BUY;
}

static uint8_t other_side(uint8_t side)
{
    return side == ENGINE_BUY ? ENGINE_SELL : ENGINE_BUY;
}

static bool trades_at(const struct plain_order *order, int64_t price_ticks)
{
    return buys(order) ? price_ticks <= order->limit_ticks : price_ticks >= order->limit_ticks;
}

static int64_t hold_needed(const struct plain_market *market, const struct plain_order *order)
{
    if (!buys(order))
        return order->left_lots * market->config.lot_minor;
    return order->by_quote ? order->quote_minor
                           : order->limit_ticks * order->left_lots * market->config.notional_unit_minor;
}

/* Brings the hold down to what is needed; what that frees. */
static int64_t release(const struct plain_market *market, struct plain_order *order)
{
    int64_t released = order->hold_minor - hold_needed(market, order);
    assert(released >= 0);
    order->hold_minor -= released;
    return released;
}

static uint8_t open_status(const struct plain_order *order)
{
    return order->filled_lots > 0 ? ENGINE_PARTIALLY_FILLED : ENGINE_ACCEPTED;
}

bool plain_before(const struct plain_order *a, const struct plain_order *b)
{
    if (a->limit_ticks != b->limit_ticks)
        return buys(a) ? a->limit_ticks > b->limit_ticks : a->limit_ticks < b->limit_ticks;
    return a->arrival < b->arrival;
}

struct plain_order *plain_next(struct plain_market *market, uint8_t side, const struct plain_order *after)
{
    struct plain_order *best = NULL;
    for (struct plain_order *at = market->orders; at < market->orders + market->count; at++)
        if (at->side == side && !at->waits && (!after || plain_before(after, at)) && (!best || plain_before(at, best)))
            best = at;
    return best;
}

struct plain_order *plain_find(struct plain *plain, uint64_t order_id, uint16_t *ret_market)
{
    for (uint16_t number = 0; number < plain->markets_count; number++)
        for (size_t i = 0; i < plain->markets[number].count; i++)
            if (plain->markets[number].orders[i].order_id == order_id) {
                *ret_market = number;
                return &plain->markets[number].orders[i];
            }
    return NULL;
}

struct plain_order *plain_find_here(struct plain_market *market, uint64_t order_id)
{
    for (size_t i = 0; i < market->count; i++)
        if (market->orders[i].order_id == order_id)
            return &market->orders[i];
    return NULL;
}

static void drop(struct plain_market *market, struct plain_order *order)
{
    *order = market->orders[--market->count];
}

static bool is_killed(const struct plain_market *market, uint64_t user_id)
{
    for (size_t i = 0; i < market->killed_count; i++)
        if (market->killed[i] == user_id)
            return true;
    return false;
}

/* Tells that the order is final, and gives back its whole hold. The caller drops it if it was open. */
static void tell_closed(
    struct plain *plain, const struct plain_market *market, const struct plain_order *order, int status, int reason)
{
    struct plain_event *closed = event(plain, market, PLAIN_CLOSED, order);
    closed->price_ticks = order->limit_ticks;
    closed->lots = order->filled_lots;
    closed->left_lots = order->left_lots;
    closed->released_minor = order->hold_minor;
    closed->status = (uint8_t)status;
    closed->reason = (uint8_t)reason;
}

static void close_open(
    struct plain *plain, struct plain_market *market, struct plain_order *order, int status, int reason)
{
    tell_closed(plain, market, order, status, reason);
    drop(market, order);
}

/* ---- Refusals ---- */

static bool is_step_of(int64_t value, int64_t step)
{
    return step == 0 || value % step == 0;
}

static bool price_is_allowed(const struct engine_market_config *config, int64_t price_ticks)
{
    return price_ticks >= config->min_price_ticks &&
           (config->max_price_ticks == 0 || price_ticks <= config->max_price_ticks) &&
           is_step_of(price_ticks, config->price_step_ticks);
}

static int beyond_limits(const struct plain_market *market, int64_t price_ticks, int64_t lots, bool is_limit)
{
    const struct engine_market_config *config = &market->config;
    if (lots > 0) {
        if (lots < config->min_quantity_lots || !is_step_of(lots, config->quantity_step_lots))
            return ENGINE_LIMITS;
        if (config->max_quantity_lots > 0 && lots > config->max_quantity_lots)
            return ENGINE_LIMITS;
    }
    if (is_limit) {
        __int128 notional = (__int128)price_ticks * lots * config->notional_unit_minor;
        if (!price_is_allowed(config, price_ticks) || notional < config->min_notional_minor)
            return ENGINE_LIMITS;
        if (config->max_notional_minor > 0 && notional > config->max_notional_minor)
            return ENGINE_LIMITS;
    }
    if (config->price_band_ppm > 0 && market->reference_ticks > 0) {
        __int128 distance = (__int128)price_ticks - market->reference_ticks;
        if ((distance < 0 ? -distance : distance) * PPM > (__int128)market->reference_ticks * config->price_band_ppm)
            return ENGINE_PRICE_BAND;
    }
    return 0;
}

static bool is_honoured(const struct plain_order *order)
{
    bool at_once = order->time_in_force == ENGINE_IOC || order->time_in_force == ENGINE_FOK;
    bool is_limit = order->type == ENGINE_LIMIT || order->type == ENGINE_STOP_LIMIT;
    if (order->type == ENGINE_MARKET && !at_once)
        return false;
    if (order->post_only && (at_once || !is_limit))
        return false;
    return order->display_lots == 0 || (is_limit && !at_once);
}

static int refusal(const struct plain_market *market, const struct plain_order *order)
{
    uint8_t status = market->config.status;
    bool is_limit = order->type == ENGINE_LIMIT || order->type == ENGINE_STOP_LIMIT;
    bool for_auction = order->type == ENGINE_LIMIT && !order->post_only &&
                       (order->time_in_force == ENGINE_GTC || order->time_in_force == ENGINE_GTD);
    if (!is_honoured(order))
        return ENGINE_UNSUPPORTED;
    if (status != ENGINE_OPEN && !(status == ENGINE_AUCTION && for_auction))
        return ENGINE_MARKET_CLOSED;
    if (is_killed(market, order->user_id))
        return ENGINE_KILLED;
    if (order->stop_ticks > 0 && !price_is_allowed(&market->config, order->stop_ticks))
        return ENGINE_LIMITS;
    return beyond_limits(market, order->limit_ticks, order->left_lots, is_limit);
}

/* ---- Matching ---- */

/* How much the order takes at this price, at most. */
static int64_t wants(const struct plain_market *market, const struct plain_order *order, int64_t price_ticks)
{
    __int128 lot_costs = (__int128)price_ticks * market->config.notional_unit_minor;
    if (!order->by_quote)
        return order->left_lots;
    if (order->quote_minor <= 0)
        return 0;
    if (buys(order))
        return (int64_t)(order->quote_minor / lot_costs);
    __int128 lots = (order->quote_minor + lot_costs - 1) / lot_costs;
    return lots < order->left_lots ? (int64_t)lots : order->left_lots;
}

static void take_off(const struct plain_market *market, struct plain_order *order, int64_t lots, int64_t price_ticks)
{
    if (!order->by_quote || !buys(order))
        order->left_lots -= lots;
    if (order->by_quote)
        order->quote_minor -= price_ticks * lots * market->config.notional_unit_minor;
}

/* One party's side of a fill. Returns the fee. */
static int64_t book_fill(
    const struct plain_market *market, struct plain_order *order, int64_t lots, int64_t price_ticks, uint32_t ppm)
{
    int64_t notional = price_ticks * lots * market->config.notional_unit_minor;
    int64_t received = buys(order) ? lots * market->config.lot_minor : notional;
    int64_t fee = (int64_t)((__int128)received * ppm / PPM);
    take_off(market, order, lots, price_ticks);
    order->filled_lots += lots;
    release(market, order); /* a fill's price improvement comes with the fill */
    order->received_minor += received;
    order->fees_minor += fee;
    assert(order->fees_minor <= order->received_minor);
    return fee;
}

/* After lots are gone from what shows: the next part, at the end of the queue. true: it went there. */
static bool show_next(struct plain *plain, struct plain_order *order)
{
    if (order->shows_lots > 0 || order->left_lots == 0)
        return false;
    order->shows_lots = order->display_lots < order->left_lots ? order->display_lots : order->left_lots;
    order->arrival = ++plain->arrivals;
    return true;
}

static void note_trade(struct plain_market *market, int64_t price_ticks)
{
    market->last_ticks = price_ticks;
    if (market->high_ticks == 0 || price_ticks > market->high_ticks)
        market->high_ticks = price_ticks;
    if (market->low_ticks == 0 || price_ticks < market->low_ticks)
        market->low_ticks = price_ticks;
}

static bool is_done(const struct plain_order *order)
{
    return order->by_quote && buys(order) ? order->quote_minor == 0 : order->left_lots == 0;
}

static void fill(struct plain *plain, struct plain_market *market, struct plain_order *taker, struct plain_order *maker,
    int64_t lots)
{
    int64_t price_ticks = maker->limit_ticks;
    struct plain_event *told = event(plain, market, PLAIN_FILL, taker);
    told->other = maker->order_id;
    told->price_ticks = price_ticks;
    told->lots = lots;
    told->fee_minor =
        book_fill(market, taker, lots, price_ticks, taker->has_fees ? taker->taker_ppm : market->config.taker_fee_ppm);
    told->other_fee_minor =
        book_fill(market, maker, lots, price_ticks, maker->has_fees ? maker->maker_ppm : market->config.maker_fee_ppm);
    maker->shows_lots -= lots;
    told->flag = show_next(plain, maker);
    told->shows_lots = maker->shows_lots;
    told->left_lots = taker->left_lots;
    told->other_left_lots = maker->left_lots;
    note_trade(market, price_ticks);
    if (maker->left_lots == 0)
        drop(market, maker);
}

static void tell_amended(struct plain *plain, const struct plain_market *market, const struct plain_order *order,
    uint64_t amend_id, int64_t released_minor, int64_t shows_lots, bool kept)
{
    struct plain_event *told = event(plain, market, PLAIN_AMENDED, order);
    told->other = amend_id;
    told->price_ticks = order->limit_ticks;
    told->lots = order->by_quote && buys(order) ? 0 : order->filled_lots + order->left_lots;
    told->left_lots = order->left_lots;
    told->shows_lots = shows_lots;
    told->released_minor = released_minor;
    told->status = open_status(order);
    told->flag = kept;
}

/* A resting order loses lots, hidden ones first, and keeps its place. */
static void shrink(struct plain *plain, const struct plain_market *market, struct plain_order *order, int64_t lots)
{
    order->left_lots -= lots;
    if (order->shows_lots > order->left_lots)
        order->shows_lots = order->left_lots;
    tell_amended(plain, market, order, 0, release(market, order), order->shows_lots, true);
}

/* true: the taker goes on. */
static bool meet_own(struct plain *plain, struct plain_market *market, struct plain_order *taker,
    struct plain_order *maker, int64_t wanted_lots)
{
    int64_t maker_lots = maker->left_lots, price_ticks = maker->limit_ticks;
    switch ((enum engine_self_trade)taker->self_trade) {
    case ENGINE_CANCEL_OLDEST:
        close_open(plain, market, maker, ENGINE_CANCELLED, ENGINE_SELF_TRADE);
        return true;
    case ENGINE_CANCEL_BOTH:
        close_open(plain, market, maker, ENGINE_CANCELLED, ENGINE_SELF_TRADE);
        return false;
    case ENGINE_DECREMENT:
        if (maker_lots > wanted_lots)
            shrink(plain, market, maker, wanted_lots);
        else
            close_open(plain, market, maker, ENGINE_CANCELLED, ENGINE_SELF_TRADE);
        if (maker_lots >= wanted_lots)
            return false;
        take_off(market, taker, maker_lots, price_ticks);
        tell_amended(plain, market, taker, 0, release(market, taker), 0, false);
        return true;
    case ENGINE_SELF_TRADE_DEFAULT:
    case ENGINE_CANCEL_NEWEST:
        break;
    }
    return false;
}

/* Would the whole order trade now? Tried on a copy of the market. */
static bool fills_whole(struct plain *plain, const struct plain_market *market, const struct plain_order *order)
{
    static struct plain_market trial;
    struct plain_order taker = *order;
    trial = *market;
    for (;;) {
        struct plain_order *maker = plain_next(&trial, other_side(taker.side), NULL);
        int64_t lots = maker ? wants(&trial, &taker, maker->limit_ticks) : 0;
        if (maker && trades_at(&taker, maker->limit_ticks) && lots > 0) {
            if (maker->user_id == taker.user_id && taker.self_trade != ENGINE_CANCEL_OLDEST)
                return false;
            if (maker->user_id == taker.user_id) {
                drop(&trial, maker);
                continue;
            }
            lots = lots < maker->shows_lots ? lots : maker->shows_lots;
            book_fill(&trial, &taker, lots, maker->limit_ticks, 0);
            bool spent = taker.by_quote && wants(&trial, &taker, maker->limit_ticks) == 0;
            book_fill(&trial, maker, lots, maker->limit_ticks, 0);
            maker->shows_lots -= lots;
            show_next(plain, maker);
            if (maker->left_lots == 0)
                drop(&trial, maker);
            if (spent)
                return buys(&taker) || taker.quote_minor <= 0;
            continue;
        }
        if (taker.by_quote && buys(&taker)) /* not even one lot at the best price */
            return maker && trades_at(&taker, maker->limit_ticks);
        return taker.by_quote ? taker.quote_minor <= 0 : taker.left_lots == 0;
    }
}

static void rest(struct plain *plain, struct plain_market *market, const struct plain_order *order, bool waits)
{
    assert(market->count < PLAIN_ORDERS_MAX);
    struct plain_order *resting = &market->orders[market->count++];
    *resting = *order;
    resting->waits = waits;
    resting->arrival = ++plain->arrivals;
    resting->shows_lots = waits ? 0 : order->left_lots;
    if (!waits && order->display_lots > 0 && order->display_lots < order->left_lots)
        resting->shows_lots = order->display_lots;
    struct plain_event *told = event(plain, market, PLAIN_OPENED, order);
    told->price_ticks = order->limit_ticks;
    told->lots = order->filled_lots;
    told->left_lots = order->left_lots;
    told->shows_lots = resting->shows_lots;
    told->status = open_status(order);
    told->flag = waits;
}

static void trade(struct plain *plain, struct plain_market *market, struct plain_order *taker)
{
    int reason = ENGINE_IOC_REMAINDER;
    struct plain_order *maker;
    while ((maker = plain_next(market, other_side(taker->side), NULL)) && trades_at(taker, maker->limit_ticks)) {
        int64_t price_ticks = maker->limit_ticks, lots = wants(market, taker, price_ticks);
        if (lots == 0) {
            reason = taker->by_quote ? ENGINE_QUOTE_SPENT : reason;
            break;
        }
        if (maker->user_id != taker->user_id) {
            fill(plain, market, taker, maker, lots < maker->shows_lots ? lots : maker->shows_lots);
        } else if (!meet_own(plain, market, taker, maker, lots)) {
            reason = ENGINE_SELF_TRADE;
            break;
        }
        if (taker->by_quote && wants(market, taker, price_ticks) == 0) {
            reason = ENGINE_QUOTE_SPENT; /* no further lot for what is left, not even at this price */
            break;
        }
    }
    if (is_done(taker))
        return;
    if (reason == ENGINE_IOC_REMAINDER && (taker->time_in_force == ENGINE_GTC || taker->time_in_force == ENGINE_GTD))
        rest(plain, market, taker, false);
    else
        tell_closed(plain, market, taker, ENGINE_CANCELLED, reason);
}

/* ---- Entering ---- */

static bool would_trade(struct plain_market *market, const struct plain_order *order)
{
    const struct plain_order *best = plain_next(market, other_side(order->side), NULL);
    return best && trades_at(order, best->limit_ticks);
}

/* false: there is no price to slide to. */
static bool slide(struct plain *plain, struct plain_market *market, struct plain_order *order)
{
    int64_t step = market->config.price_step_ticks > 0 ? market->config.price_step_ticks : 1;
    int64_t best_ticks = plain_next(market, other_side(order->side), NULL)->limit_ticks;
    int64_t price_ticks = best_ticks;
    do /* to the first multiple of the step that does not trade */
        price_ticks += buys(order) ? -1 : 1;
    while (price_ticks > 0 && price_ticks % step != 0);
    if (price_ticks <= 0 || !price_is_allowed(&market->config, price_ticks))
        return false;
    order->limit_ticks = price_ticks;
    tell_amended(plain, market, order, 0, release(market, order), 0, false);
    return true;
}

static void enter(struct plain *plain, struct plain_market *market, struct plain_order *order)
{
    int refused = order->filled_lots > 0 ? ENGINE_CANCELLED : ENGINE_REJECTED;
    if (market->config.status == ENGINE_AUCTION) {
        rest(plain, market, order, false);
        return;
    }
    if (order->post_only && would_trade(market, order) &&
        (order->post_only == ENGINE_POST_OR_REJECT || !slide(plain, market, order))) {
        tell_closed(plain, market, order, refused, ENGINE_POST_ONLY_WOULD_CROSS);
        return;
    }
    if (order->time_in_force == ENGINE_FOK && !fills_whole(plain, market, order)) {
        tell_closed(plain, market, order, ENGINE_CANCELLED, ENGINE_FOK_UNFILLED);
        return;
    }
    trade(plain, market, order);
}

static void enter_triggered(
    struct plain *plain, struct plain_market *market, struct plain_order *order, int64_t trade_ticks)
{
    event(plain, market, PLAIN_TRIGGERED, order)->price_ticks = trade_ticks;
    order->waits = false;
    if (order->type == ENGINE_STOP && order->time_in_force != ENGINE_FOK)
        order->time_in_force = ENGINE_IOC;
    enter(plain, market, order);
}

static bool is_reached(const struct plain_order *order, int64_t high_ticks, int64_t low_ticks)
{
    return buys(order) ? high_ticks >= order->stop_ticks : low_ticks <= order->stop_ticks;
}

/* The nearest to the market of a side, then the earliest. */
static struct plain_order *nearest_stop(struct plain_market *market, uint8_t side)
{
    struct plain_order *best = NULL;
    for (struct plain_order *at = market->orders; at < market->orders + market->count; at++) {
        if (!at->waits || at->side != side || !is_reached(at, market->high_ticks, market->low_ticks))
            continue;
        if (best && at->stop_ticks == best->stop_ticks ? at->arrival < best->arrival
            : best                                     ? (side == ENGINE_BUY) == (at->stop_ticks < best->stop_ticks)
                                                       : true)
            best = at;
    }
    return best;
}

static void trigger(struct plain *plain, struct plain_market *market)
{
    while (market->high_ticks > 0) {
        struct plain_order *buy = nearest_stop(market, ENGINE_BUY), *sell = nearest_stop(market, ENGINE_SELL);
        struct plain_order *next = !buy || (sell && sell->order_id < buy->order_id) ? sell : buy;
        if (!next)
            break;
        struct plain_order order = *next;
        drop(market, next);
        enter_triggered(plain, market, &order, buys(&order) ? market->high_ticks : market->low_ticks);
    }
    market->high_ticks = market->low_ticks = 0;
}

static void place(struct plain *plain, struct plain_market *market, const struct step_order *wanted, uint16_t quote_set)
{
    const struct engine_command *command = &wanted->command;
    const struct engine_order_more *more = &wanted->more;
    struct plain_order order = { .order_id = command->order_id,
        .user_id = command->user_id,
        .limit_ticks = command->price_ticks,
        .stop_ticks = more->stop_price_ticks,
        .left_lots = command->quantity_lots,
        .quote_minor = more->quote_minor,
        .by_quote = more->quote_minor != 0,
        .display_lots = more->display_lots,
        .expires_at_us = more->expires_at_us,
        .hold_minor = command->hold_minor,
        .maker_ppm = more->maker_fee_ppm,
        .taker_ppm = more->taker_fee_ppm,
        .has_fees = more->has_fees,
        .quote_set = quote_set,
        .side = command->side,
        .type = command->type,
        .time_in_force = command->time_in_force,
        .post_only = command->post_only,
        .self_trade = command->self_trade };
    int reason = refusal(market, &order);
    if (reason != 0)
        tell_closed(plain, market, &order, ENGINE_REJECTED, reason);
    else if (order.expires_at_us > 0 && order.expires_at_us <= market->at_us)
        tell_closed(plain, market, &order, ENGINE_EXPIRED, ENGINE_REASON_EXPIRED);
    else if (order.stop_ticks == 0)
        enter(plain, market, &order);
    else if (market->last_ticks > 0 && is_reached(&order, market->last_ticks, market->last_ticks))
        enter_triggered(plain, market, &order, market->last_ticks);
    else
        rest(plain, market, &order, true);
}

/* ---- Other commands ---- */

static void cancel(struct plain *plain, struct plain_market *market, const struct engine_command *command)
{
    struct plain_order *order = plain_find_here(market, command->order_id);
    if (order && order->user_id == command->user_id) {
        close_open(plain, market, order, ENGINE_CANCELLED, ENGINE_REQUESTED);
        return;
    }
    event(plain, market, PLAIN_CANCEL_REJECTED, &(struct plain_order){ .order_id = command->order_id })->flag = order;
}

/* Closes the user's orders by id; quote_set 0: all of them. */
static void close_all(
    struct plain *plain, struct plain_market *market, uint64_t user_id, uint16_t quote_set, int reason)
{
    for (;;) {
        struct plain_order *first = NULL;
        for (struct plain_order *at = market->orders; at < market->orders + market->count; at++)
            if (at->user_id == user_id && (quote_set == 0 || at->quote_set == quote_set) &&
                (!first || at->order_id < first->order_id))
                first = at;
        if (!first)
            return;
        close_open(plain, market, first, ENGINE_CANCELLED, reason);
    }
}

static void kill_switch(struct plain *plain, struct plain_market *market, const struct engine_command *command)
{
    size_t at = 0;
    while (at < market->killed_count && market->killed[at] != command->user_id)
        at++;
    bool was_killed = at < market->killed_count;
    if (command->engaged && !was_killed) {
        assert(market->killed_count < PLAIN_KILLED_MAX);
        market->killed[market->killed_count++] = command->user_id;
    } else if (!command->engaged && was_killed) {
        market->killed[at] = market->killed[--market->killed_count];
    }
    if (command->engaged)
        close_all(plain, market, command->user_id, 0, ENGINE_KILLED);
}

static int amend_problem(
    struct plain_market *market, const struct plain_order *order, const struct engine_command *command)
{
    uint8_t status = market->config.status;
    if (!order)
        return ENGINE_AMEND_NOT_OPEN;
    if (order->user_id != command->user_id)
        return ENGINE_AMEND_FOREIGN;
    if (status != ENGINE_OPEN && !(status == ENGINE_AUCTION && !order->post_only))
        return ENGINE_AMEND_MARKET_CLOSED;
    if (is_killed(market, command->user_id))
        return ENGINE_AMEND_KILLED;
    if (command->quantity_lots <= order->filled_lots)
        return ENGINE_AMEND_ALREADY_FILLED;
    int reason = beyond_limits(
        market, command->price_ticks, command->quantity_lots, !order->waits || order->type == ENGINE_STOP_LIMIT);
    if (reason != 0)
        return reason == ENGINE_LIMITS ? ENGINE_AMEND_LIMITS : ENGINE_AMEND_PRICE_BAND;
    struct plain_order after = *order;
    after.limit_ticks = command->price_ticks;
    after.left_lots = command->quantity_lots - order->filled_lots;
    __int128 freed = (__int128)order->hold_minor + command->hold_minor - hold_needed(market, &after);
    if (freed < 0 || freed > INT64_MAX)
        return ENGINE_AMEND_UNCOVERED;
    if (!order->waits && status == ENGINE_OPEN && order->post_only == ENGINE_POST_OR_REJECT &&
        would_trade(market, &after))
        return ENGINE_AMEND_WOULD_CROSS;
    return 0;
}

static void reject_amend(struct plain *plain, const struct plain_market *market, const struct plain_order *order,
    const struct engine_command *command, int problem)
{
    struct plain_event *told =
        event(plain, market, PLAIN_AMEND_REJECTED, &(struct plain_order){ .order_id = command->order_id });
    told->other = command->amend_id;
    told->released_minor = command->hold_minor;
    told->reason = (uint8_t)problem;
    if (problem != ENGINE_AMEND_NOT_OPEN && problem != ENGINE_AMEND_FOREIGN) {
        told->lots = order->filled_lots;
        told->left_lots = order->left_lots;
        told->status = open_status(order);
    }
}

static void amend(struct plain *plain, struct plain_market *market, const struct engine_command *command)
{
    struct plain_order *order = plain_find_here(market, command->order_id);
    int problem = amend_problem(market, order, command);
    if (problem != 0) {
        reject_amend(plain, market, order, command, problem);
        return;
    }
    bool keeps = order->waits || (command->price_ticks == order->limit_ticks &&
                                     command->quantity_lots < order->filled_lots + order->left_lots);
    order->limit_ticks = command->price_ticks;
    order->left_lots = command->quantity_lots - order->filled_lots;
    order->hold_minor += command->hold_minor;
    int64_t released_minor = release(market, order);
    if (keeps) {
        if (order->shows_lots > order->left_lots)
            order->shows_lots = order->left_lots;
        tell_amended(plain, market, order, command->amend_id, released_minor, order->shows_lots, true);
        return;
    }
    struct plain_order anew = *order;
    drop(market, order);
    tell_amended(plain, market, &anew, command->amend_id, released_minor, 0, false);
    enter(plain, market, &anew);
}

static void expire(struct plain *plain, struct plain_market *market)
{
    for (;;) {
        struct plain_order *first = NULL;
        for (struct plain_order *at = market->orders; at < market->orders + market->count; at++)
            if (at->expires_at_us > 0 && at->expires_at_us <= market->at_us &&
                (!first || at->expires_at_us < first->expires_at_us ||
                    (at->expires_at_us == first->expires_at_us && at->order_id < first->order_id)))
                first = at;
        if (!first)
            return;
        close_open(plain, market, first, ENGINE_EXPIRED, ENGINE_REASON_EXPIRED);
    }
}

/* ---- Auction ---- */

struct outcome {
    __int128 volume, surplus, distance;
    int64_t price_ticks; /* 0: none */
};

static struct outcome outcome_at(const struct plain_market *market, int64_t price_ticks)
{
    int64_t anchor = market->reference_ticks ? market->reference_ticks : market->last_ticks;
    __int128 demand = 0, supply = 0, distance = anchor ? (__int128)price_ticks - anchor : 0;
    for (const struct plain_order *at = market->orders; at < market->orders + market->count; at++)
        if (!at->waits && trades_at(at, price_ticks))
            *(buys(at) ? &demand : &supply) += at->left_lots;
    return (struct outcome){ .volume = demand < supply ? demand : supply,
        .surplus = demand < supply ? supply - demand : demand - supply,
        .distance = distance < 0 ? -distance : distance,
        .price_ticks = price_ticks };
}

/* Most volume, least surplus, nearest to the reference (or last) price, lowest. */
static bool is_better(const struct outcome *a, const struct outcome *b)
{
    if (b->price_ticks == 0 || a->volume != b->volume)
        return b->price_ticks == 0 || a->volume > b->volume;
    if (a->surplus != b->surplus)
        return a->surplus < b->surplus;
    if (a->distance != b->distance)
        return a->distance < b->distance;
    return a->price_ticks < b->price_ticks;
}

/* Tries the limit of every order. */
static int64_t uncrossing_price(struct plain_market *market)
{
    struct outcome best = { .price_ticks = 0 };
    for (size_t i = 0; i < market->count; i++) {
        struct outcome outcome = outcome_at(market, market->orders[i].limit_ticks);
        if (!market->orders[i].waits && outcome.volume > 0 && is_better(&outcome, &best))
            best = outcome;
    }
    return best.price_ticks;
}

static void uncross_own(
    struct plain *plain, struct plain_market *market, struct plain_order *older, struct plain_order *younger)
{
    uint64_t older_id = older->order_id, younger_id = younger->order_id;
    int64_t older_lots = older->left_lots, younger_lots = younger->left_lots;
    uint8_t mode = younger->self_trade;
    if (mode == ENGINE_CANCEL_OLDEST || mode == ENGINE_CANCEL_BOTH ||
        (mode == ENGINE_DECREMENT && older_lots <= younger_lots))
        close_open(plain, market, plain_find_here(market, older_id), ENGINE_CANCELLED, ENGINE_SELF_TRADE);
    else if (mode == ENGINE_DECREMENT)
        shrink(plain, market, plain_find_here(market, older_id), younger_lots);
    if (mode == ENGINE_SELF_TRADE_DEFAULT || mode == ENGINE_CANCEL_NEWEST || mode == ENGINE_CANCEL_BOTH ||
        (mode == ENGINE_DECREMENT && younger_lots <= older_lots))
        close_open(plain, market, plain_find_here(market, younger_id), ENGINE_CANCELLED, ENGINE_SELF_TRADE);
    else if (mode == ENGINE_DECREMENT)
        shrink(plain, market, plain_find_here(market, younger_id), older_lots);
}

static void uncross_fill(struct plain *plain, struct plain_market *market, struct plain_order *older,
    struct plain_order *younger, int64_t price_ticks)
{
    uint64_t younger_id = younger->order_id;
    int64_t lots = older->shows_lots < younger->shows_lots ? older->shows_lots : younger->shows_lots;
    struct plain_event *told = event(plain, market, PLAIN_FILL, younger);
    told->other = older->order_id;
    told->price_ticks = price_ticks;
    told->lots = lots;
    told->other_fee_minor =
        book_fill(market, older, lots, price_ticks, older->has_fees ? older->maker_ppm : market->config.maker_fee_ppm);
    told->fee_minor = book_fill(
        market, younger, lots, price_ticks, younger->has_fees ? younger->taker_ppm : market->config.taker_fee_ppm);
    older->shows_lots -= lots;
    younger->shows_lots -= lots;
    told->flag = show_next(plain, older);
    show_next(plain, younger);
    told->shows_lots = older->shows_lots;
    told->left_lots = younger->left_lots;
    told->other_left_lots = older->left_lots;
    note_trade(market, price_ticks);
    if (older->left_lots == 0)
        drop(market, older);
    younger = plain_find_here(market, younger_id);
    if (younger->left_lots == 0)
        drop(market, younger);
}

static void uncross(struct plain *plain, struct plain_market *market)
{
    int64_t price_ticks;
    while ((price_ticks = uncrossing_price(market)) != 0)
        for (;;) {
            struct plain_order *bid = plain_next(market, ENGINE_BUY, NULL);
            struct plain_order *ask = plain_next(market, ENGINE_SELL, NULL);
            if (!bid || !ask || !trades_at(bid, price_ticks) || !trades_at(ask, price_ticks))
                break;
            struct plain_order *older = bid->order_id < ask->order_id ? bid : ask;
            struct plain_order *younger = older == bid ? ask : bid;
            if (bid->user_id == ask->user_id)
                uncross_own(plain, market, older, younger);
            else
                uncross_fill(plain, market, older, younger, price_ticks);
        }
}

/* ---- Steps ---- */

static bool config_is_sound(const struct engine_market_config *config)
{
    return config->symbol[0] != '\0' && config->base_asset_id > 0 && config->quote_asset_id > 0 &&
           config->base_asset_id != config->quote_asset_id && config->lot_minor > 0 &&
           config->notional_unit_minor > 0 && config->maker_fee_ppm <= PPM && config->taker_fee_ppm <= PPM &&
           config->status >= ENGINE_OPEN && config->status <= ENGINE_AUCTION && config->min_price_ticks >= 0 &&
           config->max_price_ticks >= 0 && config->price_step_ticks >= 0 && config->min_quantity_lots >= 0 &&
           config->max_quantity_lots >= 0 && config->quantity_step_lots >= 0 && config->min_notional_minor >= 0 &&
           config->max_notional_minor >= 0;
}

static bool configure(struct plain *plain, const struct engine_market_config *config)
{
    struct plain_market *market = plain->markets, *end = plain->markets + plain->markets_count;
    if (!config_is_sound(config))
        return false;
    while (market < end && strcmp(market->config.symbol, config->symbol) != 0)
        market++;
    if (market < end &&
        (market->config.lot_minor != config->lot_minor ||
            market->config.notional_unit_minor != config->notional_unit_minor ||
            market->config.market_id != config->market_id || market->config.base_asset_id != config->base_asset_id ||
            market->config.quote_asset_id != config->quote_asset_id))
        return false;
    if (market == end) {
        assert(plain->markets_count < PLAIN_MARKETS_MAX);
        plain->markets_count++;
    }
    market->config = *config;
    if (config->status == ENGINE_OPEN) {
        uncross(plain, market);
        trigger(plain, market);
    }
    return true;
}

static void carry_out(struct plain *plain, struct plain_market *market, const struct step *step)
{
    const struct engine_command *command = &step->order.command;
    switch ((enum engine_command_kind)command->kind) {
    case ENGINE_PLACE:
        place(plain, market, &step->order, 0);
        break;
    case ENGINE_CANCEL:
        cancel(plain, market, command);
        break;
    case ENGINE_AMEND:
        amend(plain, market, command);
        break;
    case ENGINE_TICK:
        break;
    case ENGINE_CANCEL_ALL:
        close_all(plain, market, command->user_id, 0, ENGINE_CANCELLED_ALL);
        break;
    case ENGINE_MASS_QUOTE:
        close_all(plain, market, command->user_id, step->quote_set, ENGINE_QUOTE_REPLACED);
        for (uint32_t i = 0; i < step->quotes_count; i++)
            place(plain, market, &step->quotes[i], step->quote_set);
        break;
    case ENGINE_KILL_SWITCH:
        kill_switch(plain, market, command);
        break;
    case ENGINE_REFERENCE:
        market->reference_ticks = command->price_ticks;
        break;
    }
}

bool plain_apply(struct plain *plain, const struct step *step)
{
    plain->events_count = 0;
    if (step->kind == STEP_MARKET)
        return configure(plain, &step->config);
    if (step->order.command.market >= plain->markets_count)
        return false;
    struct plain_market *market = &plain->markets[step->order.command.market];
    if (!plain_judge(plain, market, step))
        return false;
    if (step->order.command.at_us > market->at_us) {
        market->at_us = step->order.command.at_us;
        expire(plain, market);
    }
    carry_out(plain, market, step);
    trigger(plain, market);
    return true;
}
