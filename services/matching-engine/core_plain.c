/* The straight paths: a limit order GTC or IOC with nothing else to it, in an open market without limits, stops or GTD
 * orders; the cancel of such an order; its move to another price. They give what the general paths give, byte for byte,
 * and are written for the processor: one room for all records of a command, no branch on what is as random as the flow
 * (side, neighbours), fields stored one by one (see core_records.c). Whatever is special on the way (an own order, an
 * iceberg as maker, a full book) goes on in the general path. */
#include "core.h"

#include <string.h>

enum {
    ROOM = 512, /* bytes: more than the records of a command that does not trade */
};

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && offsetof(struct engine_record, market) == 4 &&
                  offsetof(struct engine_record, kind) == 6 && offsetof(struct engine_record, side) == 7,
    "the head of a record is written as one number");

/* An order that comes in. */
struct plain {
    uint64_t order_id, user_id;
    int64_t limit_ticks, filled_lots, remaining_lots;
    enum book_side_index side;
    uint8_t self_trade, time_in_force;
};

/* ---- Conditions ---- */

static inline bool market_is_plain(const struct market *market)
{
    return market->is_plain && (market->waiting | market->expiries) == 0;
}

static inline uint8_t mode_flags(uint8_t self_trade)
{
    return (uint8_t)((self_trade - (self_trade != ENGINE_SELF_TRADE_DEFAULT)) << BOOK_SELF_TRADE_SHIFT);
}

/* All that judge_order() and the refusals ask of such an order. */
static inline bool order_is_plain(const struct engine_command *order)
{
    return !order->more && order->type == ENGINE_LIMIT &&
           (order->time_in_force == ENGINE_GTC || order->time_in_force == ENGINE_IOC) &&
           order->post_only == ENGINE_MAY_TAKE && order->self_trade <= ENGINE_DECREMENT &&
           (order->side == ENGINE_BUY || order->side == ENGINE_SELL) && order->order_id != 0 && order->user_id != 0 &&
           order->price_ticks > 0 && order->quantity_lots > 0;
}

/* What `lots` hold, in *ret_minor, without a branch on the side. false: a product does not fit. */
static inline bool hold_fits(const struct engine_market_config *config, enum book_side_index side, int64_t limit_ticks,
    int64_t lots, int64_t *ret_minor)
{
    int64_t notional_minor, base_minor;
    bool too_much = __builtin_mul_overflow(limit_ticks, lots, &notional_minor);
    too_much |= __builtin_mul_overflow(notional_minor, config->notional_unit_minor, &notional_minor);
    too_much |= __builtin_mul_overflow(lots, config->lot_minor, &base_minor);
    *ret_minor = pick_wide(side == BOOK_BID, notional_minor, base_minor);
    return !too_much;
}

/* The same where it is known to fit. */
static inline int64_t held_minor(
    const struct engine_market_config *config, enum book_side_index side, int64_t limit_ticks, int64_t lots)
{
    return pick_wide(side == BOOK_BID, limit_ticks * lots * config->notional_unit_minor, lots * config->lot_minor);
}

/* Would the order trade at the best price of the other side? */
static inline bool crosses(const struct book_side *other, const struct plain *order)
{
    return other->best != BOOK_NONE && !is_nearer(opposite(order->side), order->limit_ticks, other->best_ticks);
}

static inline void move_clock_plainly(struct market *market, int64_t now_us)
{
    if (now_us > market->state.at_us)
        market->state.at_us = now_us;
}

/* ---- Records ---- */

/* Room for the records of a command that does not trade; advanced by `used` bytes when they are written. */
ALWAYS_INLINE void *room(struct engine *engine)
{
    if (__builtin_expect(engine->buffer_size - engine->buffer_used < ROOM, 0))
        engine_flush(engine);
    return engine->buffer + engine->buffer_used;
}

ALWAYS_INLINE void head_set(const struct market *market, struct engine_record *record, enum engine_record_kind kind,
    size_t size, enum engine_side side, uint64_t seq)
{
    /* Four fields in one store. */
    uint64_t head = (uint64_t)size | (uint64_t)market->number << 32 | (uint64_t)kind << 48 | (uint64_t)side << 56;
    memcpy(record, &head, sizeof head);
    record->seq = seq;
    record->at_us = market->state.at_us;
}

ALWAYS_INLINE void opened_set(
    const struct market *market, struct engine_opened *out, const struct plain *order, uint64_t seq)
{
    head_set(market, &out->record, ENGINE_RECORD_OPENED, sizeof *out, side_name(order->side), seq);
    memset(&out->status, 0, sizeof *out - offsetof(struct engine_opened, status));
    out->order_id = order->order_id;
    out->user_id = order->user_id;
    out->price_ticks = order->limit_ticks;
    out->filled_lots = order->filled_lots;
    out->remaining_lots = order->remaining_lots;
    out->visible_lots = order->remaining_lots;
    out->status = (uint8_t)open_status(order->filled_lots);
}

ALWAYS_INLINE void closed_set(
    const struct market *market, struct engine_closed *out, const struct book_order *order, uint64_t seq)
{
    enum book_side_index side = order->side;
    int64_t price_ticks = order->price_ticks, remaining_lots = order->remaining_lots;
    head_set(market, &out->record, ENGINE_RECORD_CLOSED, sizeof *out, side_name(side), seq);
    memset(&out->status, 0, sizeof *out - offsetof(struct engine_closed, status));
    out->order_id = order->order_id;
    out->user_id = order->user_id;
    out->price_ticks = price_ticks;
    out->filled_lots = order->filled_lots;
    out->remaining_lots = remaining_lots;
    out->released_minor = held_minor(&market->state.config, side, price_ticks, remaining_lots);
    out->status = ENGINE_CANCELLED;
    out->reason = ENGINE_REQUESTED;
    out->in_book = true;
}

ALWAYS_INLINE void change_set(
    struct engine_level_change *change, enum book_side_index side, int64_t price_ticks, const struct book_level *level)
{
    level_change_set(change, side, price_ticks, level);
    memset(change->zero, 0, sizeof change->zero);
}

/* The command's group but for its changes; but for trades the compiler knows how many of what. Ends the command: `seq`
 * is the group's, the buffer is used up to its end. */
ALWAYS_INLINE void group_end(struct engine *engine, struct market *market, struct engine_group *out, uint64_t seq,
    unsigned postings, unsigned levels, unsigned orders)
{
    struct engine_market *state = &market->state;
    bool level3 = orders > 0 && engine->level3;
    size_t size = sizeof *out + levels * sizeof out->changes[0];
    head_set(market, &out->record, ENGINE_RECORD_GROUP, size, 0, seq);
    state->posting_seq += postings > 0;
    state->book_seq += levels > 0;
    state->orders_seq += level3;
    out->posting_seq = postings ? state->posting_seq : 0;
    out->book_seq = levels ? state->book_seq : 0;
    out->orders_seq = state->orders_seq & -(uint64_t)level3;
    out->postings = postings;
    out->levels = levels;
    out->orders = level3 ? orders : 0;
    out->last = 1;
    state->seq = seq - 1 + (postings > 0) + (levels > 0) + level3;
    engine->buffer_used = (size_t)((unsigned char *)out - engine->buffer) + size;
}

/* ---- The book ---- */

/* Puts the order at the end of its level's queue, under a slot of its own, or the one it had. */
ALWAYS_INLINE void rest_at(
    struct engine *engine, struct market *market, const struct plain *order, uint32_t level_slot, uint32_t old_slot)
{
    struct book_memory *memory = engine->memory;
    struct book_level *level = &memory->levels[level_slot];
    if (level->orders++ == 0)
        level_open(memory, &market->book.sides[order->side], order->side, level_slot, order->limit_ticks);
    level->total_lots += order->remaining_lots;
    uint32_t slot = old_slot != BOOK_NONE ? old_slot : order_take(memory);
    struct book_order *resting = &memory->orders[slot];
    resting->price_ticks = order->limit_ticks;
    resting->remaining_lots = order->remaining_lots;
    resting->level = level_slot;
    link_last(memory, level, slot);
    if (old_slot != BOOK_NONE)
        return;
    resting->order_id = order->order_id;
    resting->user_id = order->user_id;
    resting->filled_lots = order->filled_lots;
    resting->market = market->number;
    resting->side = (uint8_t)order->side;
    resting->flags = mode_flags(order->self_trade);
    index_insert(memory, order->order_id, slot);
    memory->tags[slot] = tag_of(order->user_id, market->number);
}

/* The level that can take the order, or BOOK_NONE. */
ALWAYS_INLINE uint32_t level_with_room(struct engine *engine, struct market *market, const struct plain *order)
{
    struct book_memory *memory = engine->memory;
    uint32_t level = level_for(memory, &market->book.sides[order->side], order->limit_ticks);
    return memory->levels[level].total_lots <= INT64_MAX - order->remaining_lots ? level : BOOK_NONE;
}

/* Takes an order out of its queue; its slot and its place in the index stay. */
ALWAYS_INLINE void unrest(
    struct engine *engine, struct market *market, uint32_t slot, struct book_level *level, uint32_t level_slot)
{
    struct book_memory *memory = engine->memory;
    const struct book_order *order = &memory->orders[slot];
    enum book_side_index side = order->side;
    unlink_order(memory, level, slot);
    level->total_lots -= order->remaining_lots;
    if (--level->orders == 0)
        level_close(memory, &market->book.sides[side], side, level_slot);
}

ALWAYS_INLINE void forget(struct book_memory *memory, uint32_t slot, uint64_t order_id)
{
    index_erase(memory, order_id, slot);
    order_give(memory, slot);
}

/* ---- Trading ---- */

static struct taker general(const struct market *market, const struct plain *order)
{
    return (struct taker){
        .order_id = order->order_id,
        .user_id = order->user_id,
        .limit_ticks = order->limit_ticks,
        .filled_lots = order->filled_lots,
        .remaining_lots = order->remaining_lots,
        .taker_ppm = market->state.config.taker_fee_ppm,
        .side = (uint8_t)order->side,
        .type = ENGINE_LIMIT,
        .time_in_force = order->time_in_force,
        .self_trade = order->self_trade,
    };
}

/* From here on the general path has it. */
static __attribute__((noinline, cold)) void go_on_generally(
    struct engine *engine, struct market *market, const struct plain *order)
{
    struct taker taker = general(market, order);
    expect_repeated_levels(engine);
    trade_and_rest(engine, market, &taker);
}

ALWAYS_INLINE void fill_plainly(
    struct engine *engine, struct market *market, struct plain *order, const struct book_order *maker, int64_t lots)
{
    const struct engine_market_config *config = &market->state.config;
    int64_t price_ticks = maker->price_ticks, shown_lots = maker->remaining_lots - lots;
    int64_t notional_minor = price_ticks * lots * config->notional_unit_minor, base_minor = lots * config->lot_minor;
    bool buys = order->side == BOOK_BID;
    order->remaining_lots -= lots;
    order->filled_lots += lots;
    struct engine_fill *out = record_begin(engine, market, ENGINE_RECORD_FILL, sizeof *out, side_name(order->side), 3);
    out->trade_id = ++market->state.trade_id;
    out->price_ticks = price_ticks;
    out->quantity_lots = lots;
    out->maker.order_id = maker->order_id;
    out->maker.user_id = maker->user_id;
    out->maker.filled_lots = maker->filled_lots + lots;
    out->maker.remaining_lots = shown_lots;
    out->maker.fee_minor = fee_of(buys ? notional_minor : base_minor, config->maker_fee_ppm);
    out->maker.limit_ticks = price_ticks;
    out->maker.visible_lots = shown_lots;
    memset(&out->maker.status, 0, sizeof out->maker - offsetof(struct engine_party, status));
    out->maker.status = shown_lots == 0 ? ENGINE_FILLED : ENGINE_PARTIALLY_FILLED;
    out->maker.in_book = true;
    out->taker.order_id = order->order_id;
    out->taker.user_id = order->user_id;
    out->taker.filled_lots = order->filled_lots;
    out->taker.remaining_lots = order->remaining_lots;
    out->taker.fee_minor = fee_of(buys ? base_minor : notional_minor, config->taker_fee_ppm);
    out->taker.limit_ticks = order->limit_ticks;
    out->taker.visible_lots = 0;
    memset(&out->taker.status, 0, sizeof out->taker - offsetof(struct engine_party, status));
    out->taker.status = order->remaining_lots == 0 ? ENGINE_FILLED : ENGINE_PARTIALLY_FILLED;
    market->state.last_price_ticks = price_ticks;
    record_counted(engine, market, 1, 1);
}

/* The first of a queue is filled and leaves. */
ALWAYS_INLINE void leave_first(struct book_memory *memory, struct book_level *level, uint32_t slot, uint64_t order_id)
{
    uint32_t next = memory->links[slot].next;
    memory->links[next].prev = BOOK_NONE;
    level->head = next;
    level->tail = next != BOOK_NONE ? level->tail : BOOK_NONE;
    level->orders--;
    forget(memory, slot, order_id);
}

/* What the loop will need of the order behind this one. */
ALWAYS_INLINE void fetch_next(const struct book_memory *memory, uint32_t slot)
{
    uint32_t next = memory->links[slot].next;
    __builtin_prefetch(&memory->direct[memory->orders[next].order_id & memory->direct_mask], 1);
    uint32_t second = memory->links[next].next;
    __builtin_prefetch(&memory->orders[second], 1);
    __builtin_prefetch(&memory->links[second], 1);
}

/* Against the best level. false: somebody special is first in it. */
ALWAYS_INLINE bool trade_level(struct engine *engine, struct market *market, struct plain *order)
{
    struct book_memory *memory = engine->memory;
    enum book_side_index side = opposite(order->side);
    struct book_side *other = &market->book.sides[side];
    uint32_t level_slot = other->best;
    int64_t price_ticks = other->best_ticks;
    struct book_level *level = &memory->levels[level_slot];
    bool is_special = false, traded = false;
    do {
        uint32_t slot = level->head;
        struct book_order *maker = &memory->orders[slot];
        fetch_next(memory, slot);
        is_special = (maker->flags & BOOK_HAS_MORE) || maker->user_id == order->user_id;
        if (__builtin_expect(is_special, 0))
            break;
        int64_t lots = maker->remaining_lots < order->remaining_lots ? maker->remaining_lots : order->remaining_lots;
        fill_plainly(engine, market, order, maker, lots);
        traded = true;
        level->total_lots -= lots;
        maker->remaining_lots -= lots;
        maker->filled_lots += lots;
        if (maker->remaining_lots == 0)
            leave_first(memory, level, slot, maker->order_id);
    } while (order->remaining_lots > 0 && level->orders > 0);
    if (level->orders == 0)
        level_close(memory, other, side, level_slot);
    if (traded)
        note_level(engine, market, side, price_ticks, level);
    return !is_special;
}

static void rest_after_trades(struct engine *engine, struct market *market, const struct plain *order)
{
    struct book_memory *memory = engine->memory;
    uint32_t level = memory->orders_live < memory->orders_max ? level_with_room(engine, market, order) : BOOK_NONE;
    if (level == BOOK_NONE) {
        go_on_generally(engine, market, order);
        return;
    }
    rest_at(engine, market, order, level, BOOK_NONE);
    struct engine_opened *out =
        record_begin(engine, market, ENGINE_RECORD_OPENED, sizeof *out, side_name(order->side), 1);
    opened_set(market, out, order, out->record.seq);
    record_counted(engine, market, 0, 1);
    note_level(engine, market, order->side, order->limit_ticks, &memory->levels[level]);
}

/* The group of a command that traded, as command_end() gives it. Nearly all change one level or two: which of the two
 * is as random as the flow, so that both are written and the second may not count. */
ALWAYS_INLINE void trade_end(struct engine *engine, struct market *market)
{
    uint32_t postings = engine->postings_pending, levels = engine->levels_pending;
    if (__builtin_expect(engine->may_repeat_levels || postings == 0 || levels - 1 > 1, 0)) {
        command_end(engine, market);
        return;
    }
    struct engine_group *group = room(engine);
    for (uint32_t i = 0; i < 2; i++) {
        group->changes[i].price_ticks = engine->levels[i].price_ticks;
        group->changes[i].total_lots = engine->levels[i].total_lots;
        group->changes[i].orders = engine->levels[i].orders;
        group->changes[i].side = engine->levels[i].side;
        memset(group->changes[i].zero, 0, sizeof group->changes[i].zero);
    }
    group_end(engine, market, group, market->state.seq + 1, postings, levels, engine->orders_pending);
    engine->postings_pending = engine->levels_pending = engine->orders_pending = 0;
}

/* An order that crosses: trades, then rests or is closed. */
static __attribute__((noinline)) void trade(struct engine *engine, struct market *market, struct plain *order)
{
    const struct book_side *other = &market->book.sides[opposite(order->side)];
    do {
        if (__builtin_expect(!trade_level(engine, market, order), 0)) {
            go_on_generally(engine, market, order);
            break;
        }
        if (order->remaining_lots == 0)
            break;
        if (crosses(other, order))
            continue;
        if (order->time_in_force == ENGINE_GTC)
            rest_after_trades(engine, market, order);
        else {
            struct taker taker = general(market, order);
            close_taker(engine, market, &taker, ENGINE_CANCELLED, ENGINE_IOC_REMAINDER);
        }
        break;
    } while (true);
    trade_end(engine, market);
}

/* An IOC order that meets nobody. */
static void close_at_once(struct engine *engine, struct market *market, const struct plain *order)
{
    struct engine_closed *out = room(engine);
    struct engine_group *group = (void *)(out + 1);
    uint64_t seq = market->state.seq;
    head_set(market, &out->record, ENGINE_RECORD_CLOSED, sizeof *out, side_name(order->side), seq + 1);
    memset(&out->status, 0, sizeof *out - offsetof(struct engine_closed, status));
    out->order_id = order->order_id;
    out->user_id = order->user_id;
    out->price_ticks = order->limit_ticks;
    out->filled_lots = 0;
    out->remaining_lots = order->remaining_lots;
    out->released_minor = held_minor(&market->state.config, order->side, order->limit_ticks, order->remaining_lots);
    out->status = ENGINE_CANCELLED;
    out->reason = ENGINE_IOC_REMAINDER;
    group_end(engine, market, group, seq + 2, 1, 0, 0);
}

/* ---- Commands ---- */

bool place_plain(struct engine *engine, struct market *market, const struct engine_command *command)
{
    struct book_memory *memory = engine->memory;
    int64_t hold_minor;
    if (!market_is_plain(market) || !order_is_plain(command) ||
        !hold_fits(&market->state.config, command->side - ENGINE_BUY, command->price_ticks, command->quantity_lots,
            &hold_minor) ||
        hold_minor != command->hold_minor || book_find(memory, command->order_id) != BOOK_NONE ||
        memory->orders_live >= memory->orders_max)
        return false;
    move_clock_plainly(market, command->at_us);
    struct plain order;
    order.order_id = command->order_id;
    order.user_id = command->user_id;
    order.limit_ticks = command->price_ticks;
    order.filled_lots = 0;
    order.remaining_lots = command->quantity_lots;
    order.side = command->side - ENGINE_BUY;
    order.self_trade = command->self_trade;
    order.time_in_force = command->time_in_force;
    if (crosses(&market->book.sides[opposite(order.side)], &order)) {
        trade(engine, market, &order);
        return true;
    }
    if (order.time_in_force != ENGINE_GTC) {
        close_at_once(engine, market, &order);
        return true;
    }
    uint32_t level = level_with_room(engine, market, &order);
    if (__builtin_expect(level == BOOK_NONE, 0))
        return false;
    struct engine_opened *out = room(engine);
    struct engine_group *group = (void *)(out + 1);
    uint64_t seq = market->state.seq;
    opened_set(market, out, &order, seq + 1);
    rest_at(engine, market, &order, level, BOOK_NONE);
    change_set(&group->changes[0], order.side, order.limit_ticks, &memory->levels[level]);
    group_end(engine, market, group, seq + 2, 0, 1, 1);
    return true;
}

/* Of an order that has left before: nearly all that are refused. */
static bool cancel_too_late(struct engine *engine, struct market *market, const struct engine_command *cancel)
{
    if (cancel->order_id == 0 || cancel->user_id == 0 || (market->waiting | market->expiries) != 0)
        return false;
    move_clock_plainly(market, cancel->at_us);
    reject_cancel(engine, market, cancel, false);
    return true;
}

bool cancel_plain(struct engine *engine, struct market *market, const struct engine_command *cancel)
{
    struct book_memory *memory = engine->memory;
    uint32_t slot = book_find(memory, cancel->order_id);
    if (slot == BOOK_NONE)
        return cancel_too_late(engine, market, cancel);
    const struct book_order *order = &memory->orders[slot];
    bool is_users = order->user_id == cancel->user_id && order->market == market->number;
    if (!is_users || (order->flags & BOOK_HAS_MORE) || (market->waiting | market->expiries) != 0)
        return false;
    move_clock_plainly(market, cancel->at_us);
    enum book_side_index side = order->side;
    int64_t price_ticks = order->price_ticks;
    uint32_t level_slot = order->level;
    struct book_level *level = &memory->levels[level_slot];
    struct engine_closed *out = room(engine);
    struct engine_group *group = (void *)(out + 1);
    uint64_t seq = market->state.seq;
    closed_set(market, out, order, seq + 1);
    unrest(engine, market, slot, level, level_slot);
    forget(memory, slot, cancel->order_id);
    change_set(&group->changes[0], side, price_ticks, level);
    group_end(engine, market, group, seq + 2, 1, 1, 1);
    return true;
}

/* What the move frees, in *ret_minor. false: it is not covered, or too much for 64 bits. */
static inline bool freed_by_move(const struct engine_market_config *config, const struct book_order *order,
    const struct engine_command *amend, int64_t remaining_lots, int64_t *ret_minor)
{
    int64_t held = held_minor(config, order->side, order->price_ticks, order->remaining_lots);
    int64_t needed = held_minor(config, order->side, amend->price_ticks, remaining_lots);
    return !__builtin_add_overflow(held, amend->hold_minor, &held) &&
           !__builtin_sub_overflow(held, needed, ret_minor) && *ret_minor >= 0;
}

ALWAYS_INLINE void moved_set(const struct market *market, struct engine_amended *out, const struct plain *after,
    const struct engine_command *amend, int64_t released_minor, uint64_t seq)
{
    head_set(market, &out->record, ENGINE_RECORD_AMENDED, sizeof *out, side_name(after->side), seq);
    memset(&out->status, 0, sizeof *out - offsetof(struct engine_amended, status));
    out->order_id = after->order_id;
    out->user_id = after->user_id;
    out->amend_id = amend->amend_id;
    out->price_ticks = after->limit_ticks;
    out->quantity_lots = amend->quantity_lots;
    out->filled_lots = after->filled_lots;
    out->remaining_lots = after->remaining_lots;
    out->visible_lots = 0;
    out->released_minor = released_minor;
    out->status = (uint8_t)open_status(after->filled_lots);
    out->in_book = true;
}

/* It trades where it moves to, or finds no room there. */
static __attribute__((noinline)) void move_into(struct engine *engine, struct market *market, struct plain *after,
    uint32_t slot, int64_t old_ticks, const struct book_level *old_level)
{
    engine->buffer_used += sizeof(struct engine_amended);
    market->state.seq++;
    record_counted(engine, market, 1, 1);
    forget(engine->memory, slot, after->order_id);
    note_level(engine, market, after->side, old_ticks, old_level);
    if (crosses(&market->book.sides[opposite(after->side)], after)) {
        trade(engine, market, after);
        return;
    }
    go_on_generally(engine, market, after);
    command_end(engine, market);
}

bool amend_plain(struct engine *engine, struct market *market, const struct engine_command *amend)
{
    struct book_memory *memory = engine->memory;
    uint32_t slot = book_find(memory, amend->order_id);
    const struct book_order *order = &memory->orders[slot];
    int64_t whole_minor, released_minor;
    bool is_users = slot != BOOK_NONE && order->user_id == amend->user_id && order->market == market->number;
    if (!is_users || (order->flags & (BOOK_HAS_MORE | BOOK_POST_ONLY)) || !market_is_plain(market) ||
        amend->quantity_lots <= order->filled_lots || order->price_ticks == amend->price_ticks ||
        amend->price_ticks <= 0 || amend->amend_id == 0 || amend->hold_minor < 0 ||
        (amend->side != 0 && amend->side != side_name(order->side)) ||
        !hold_fits(&market->state.config, order->side, amend->price_ticks, amend->quantity_lots, &whole_minor) ||
        !freed_by_move(&market->state.config, order, amend, amend->quantity_lots - order->filled_lots, &released_minor))
        return false;
    move_clock_plainly(market, amend->at_us);
    struct plain after = {
        .order_id = amend->order_id,
        .user_id = amend->user_id,
        .limit_ticks = amend->price_ticks,
        .filled_lots = order->filled_lots,
        .remaining_lots = amend->quantity_lots - order->filled_lots,
        .side = order->side,
        .self_trade = self_trade_of(order),
        .time_in_force = ENGINE_GTC,
    };
    int64_t old_ticks = order->price_ticks;
    uint32_t old_slot = order->level;
    struct book_level *old_level = &memory->levels[old_slot];
    struct engine_amended *out = room(engine);
    struct engine_opened *opened = (void *)(out + 1);
    struct engine_group *group = (void *)(opened + 1);
    uint64_t seq = market->state.seq;
    moved_set(market, out, &after, amend, released_minor, seq + 1);
    unrest(engine, market, slot, old_level, old_slot);
    uint32_t level = BOOK_NONE;
    if (!crosses(&market->book.sides[opposite(after.side)], &after))
        level = level_with_room(engine, market, &after);
    if (level == BOOK_NONE) {
        move_into(engine, market, &after, slot, old_ticks, old_level);
        return true;
    }
    change_set(&group->changes[0], after.side, old_ticks, old_level);
    opened_set(market, opened, &after, seq + 2);
    rest_at(engine, market, &after, level, slot);
    change_set(&group->changes[1], after.side, after.limit_ticks, &memory->levels[level]);
    group_end(engine, market, group, seq + 3, 1, 2, 2);
    return true;
}
