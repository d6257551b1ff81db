/* bare_book.h -- the least that can be called an order book, as the limit of a benchmark run: price and time priority,
 * limit, IOC, cancel, move, for one market. No users, money, fees, limits, sequences, snapshots; the caller promises
 * valid input.
 *
 * A side is an array of 65,536 ticks with a bitmap of three rows of 64 bits in front, which gives the next best price
 * in three steps. Orders are 24 bytes, pooled, linked by 32-bit slots, and found by id through an array. Prices outside
 * the array live in a sorted list of levels a side: slow, but there.
 *
 * All inline, with the kind of report as a constant: each user gets the loop without branches for what it does not
 * ask. */
#pragma once

#include "workload.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    BARE_TICKS = 65536,
    BARE_WORDS = BARE_TICKS / 64,
    BARE_FAR_MAX = 1 << 16, /* levels outside the array, a side */
};

enum bare_event_kind { BARE_FILL = 1, BARE_OPENED, BARE_CLOSED, BARE_UNKNOWN };

/* What is told of each acknowledgement and trade. */
struct bare_event {
    uint64_t order_id, maker_id;
    int64_t price_ticks;
    uint32_t quantity_lots, remaining_lots, maker_remaining_lots;
    uint8_t kind, side;
    uint8_t zero[10];
};
_Static_assert(sizeof(struct bare_event) == 48, "an event");

/* `report` is called for each event if `reports` was true; inlined where it is a constant. */
typedef void (*bare_report)(void *context, const struct bare_event *event);

struct bare_order {
    uint32_t next, prev; /* slots; 0: none */
    uint32_t order_id;
    uint32_t price_ticks;
    uint32_t quantity_lots; /* what is left */
    uint32_t sell;
};
_Static_assert(sizeof(struct bare_order) == 24, "an order");

struct bare_level {
    uint32_t head, tail;
};

struct bare_far {
    uint32_t price_ticks;
    struct bare_level level;
};

struct bare_side {
    struct bare_level levels[BARE_TICKS];
    uint64_t row0[BARE_WORDS], row1[BARE_WORDS / 64], row2;
    struct bare_far *far; /* sorted by price */
    size_t far_count;
    int64_t best; /* price; -1: empty */
};

struct bare_book {
    struct bare_side sides[2]; /* buys, sells */
    uint32_t first_tick;       /* price of levels[0] */
    struct bare_order *orders;
    uint32_t orders_used, orders_free;
    uint32_t *slots; /* by order id; 0: does not rest */
};

/* `first_tick`: the array begins there. Exits without memory: a benchmark. */
static inline struct bare_book *bare_new(uint64_t order_id_max, uint32_t orders_max, uint32_t first_tick)
{
    struct bare_book *book = aligned_alloc(64, (sizeof *book + 63) / 64 * 64);
    if (!book)
        abort();
    memset(book, 0, sizeof *book);
    book->first_tick = first_tick;
    book->orders = calloc((size_t)orders_max + 1, sizeof *book->orders);
    book->slots = calloc(order_id_max + 1, sizeof *book->slots);
    for (int side = 0; side < 2; side++) {
        book->sides[side].far = calloc(BARE_FAR_MAX, sizeof *book->sides[side].far);
        book->sides[side].best = -1;
        if (!book->sides[side].far)
            abort();
    }
    if (!book->orders || !book->slots)
        abort();
    return book;
}

static inline void bare_free(struct bare_book *book)
{
    free(book->sides[0].far);
    free(book->sides[1].far);
    free(book->orders);
    free(book->slots);
    free(book);
}

static inline bool bare_within(const struct bare_book *book, uint32_t price_ticks)
{
    return price_ticks - book->first_tick < BARE_TICKS;
}

/* Where a far price is, or would go. */
static inline size_t bare_far_place(const struct bare_side *side, uint32_t price_ticks)
{
    size_t low = 0, high = side->far_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (side->far[middle].price_ticks < price_ticks)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static inline struct bare_level *bare_far_open(struct bare_side *side, uint32_t price_ticks)
{
    size_t at = bare_far_place(side, price_ticks);
    if (at == side->far_count || side->far[at].price_ticks != price_ticks) {
        assert(side->far_count < BARE_FAR_MAX);
        memmove(&side->far[at + 1], &side->far[at], (side->far_count - at) * sizeof *side->far);
        side->far[at] = (struct bare_far){ .price_ticks = price_ticks };
        side->far_count++;
    }
    return &side->far[at].level;
}

static inline void bare_far_close(struct bare_side *side, uint32_t price_ticks)
{
    size_t at = bare_far_place(side, price_ticks);
    side->far_count--;
    memmove(&side->far[at], &side->far[at + 1], (side->far_count - at) * sizeof *side->far);
}

static inline struct bare_level *bare_level_at(struct bare_book *book, struct bare_side *side, uint32_t price_ticks)
{
    if (__builtin_expect(bare_within(book, price_ticks), 1))
        return &side->levels[price_ticks - book->first_tick];
    return &side->far[bare_far_place(side, price_ticks)].level;
}

static inline void bare_mark(struct bare_side *side, uint32_t tick)
{
    side->row0[tick >> 6] |= 1ull << (tick & 63);
    side->row1[tick >> 12] |= 1ull << (tick >> 6 & 63);
    side->row2 |= 1ull << (tick >> 12);
}

static inline void bare_unmark(struct bare_side *side, uint32_t tick)
{
    if ((side->row0[tick >> 6] &= ~(1ull << (tick & 63))) == 0 &&
        (side->row1[tick >> 12] &= ~(1ull << (tick >> 6 & 63))) == 0)
        side->row2 &= ~(1ull << (tick >> 12));
}

static inline int64_t bare_lowest(const struct bare_side *side)
{
    if (side->row2 == 0)
        return -1;
    uint32_t top = (uint32_t)__builtin_ctzll(side->row2);
    uint32_t middle = top << 6 | (uint32_t)__builtin_ctzll(side->row1[top]);
    return (int64_t)(middle << 6 | (uint32_t)__builtin_ctzll(side->row0[middle]));
}

static inline int64_t bare_highest(const struct bare_side *side)
{
    if (side->row2 == 0)
        return -1;
    uint32_t top = 63u - (uint32_t)__builtin_clzll(side->row2);
    uint32_t middle = top << 6 | (63u - (uint32_t)__builtin_clzll(side->row1[top]));
    return (int64_t)(middle << 6 | (63u - (uint32_t)__builtin_clzll(side->row0[middle])));
}

static inline void bare_find_best(struct bare_book *book, bool sell)
{
    struct bare_side *side = &book->sides[sell];
    int64_t tick = sell ? bare_lowest(side) : bare_highest(side);
    side->best = tick < 0 ? -1 : tick + book->first_tick;
    if (side->far_count == 0)
        return;
    int64_t far = side->far[sell ? 0 : side->far_count - 1].price_ticks;
    if (side->best < 0 || (sell ? far < side->best : far > side->best))
        side->best = far;
}

static inline void bare_add(struct bare_book *book, uint64_t order_id, uint32_t quantity_lots, int64_t price, bool sell)
{
    struct bare_side *side = &book->sides[sell];
    uint32_t price_ticks = (uint32_t)price, slot = book->orders_free;
    if (slot)
        book->orders_free = book->orders[slot].next;
    else
        slot = ++book->orders_used;
    struct bare_level *level = bare_within(book, price_ticks) ? &side->levels[price_ticks - book->first_tick]
                                                              : bare_far_open(side, price_ticks);
    book->orders[slot] = (struct bare_order){ .prev = level->tail,
        .order_id = (uint32_t)order_id,
        .price_ticks = price_ticks,
        .quantity_lots = quantity_lots,
        .sell = sell };
    if (level->tail) {
        book->orders[level->tail].next = slot;
    } else {
        level->head = slot;
        if (bare_within(book, price_ticks))
            bare_mark(side, price_ticks - book->first_tick);
        if (side->best < 0 || (sell ? price < side->best : price > side->best))
            side->best = price;
    }
    level->tail = slot;
    book->slots[order_id] = slot;
}

static inline void bare_close_level(struct bare_book *book, uint32_t price_ticks, bool sell)
{
    struct bare_side *side = &book->sides[sell];
    if (bare_within(book, price_ticks))
        bare_unmark(side, price_ticks - book->first_tick);
    else
        bare_far_close(side, price_ticks);
    if (side->best == price_ticks)
        bare_find_best(book, sell);
}

static inline void bare_remove(struct bare_book *book, uint32_t slot)
{
    struct bare_order *order = &book->orders[slot];
    bool sell = order->sell;
    struct bare_level *level = bare_level_at(book, &book->sides[sell], order->price_ticks);
    if (order->prev)
        book->orders[order->prev].next = order->next;
    else
        level->head = order->next;
    if (order->next)
        book->orders[order->next].prev = order->prev;
    else
        level->tail = order->prev;
    book->slots[order->order_id] = 0;
    order->next = book->orders_free;
    book->orders_free = slot;
    if (!level->head)
        bare_close_level(book, order->price_ticks, sell);
}

#define BARE_INLINE static inline __attribute__((always_inline))

/* Returns what is left of the taker. */
BARE_INLINE uint32_t bare_match(struct bare_book *book, uint64_t order_id, uint32_t quantity_lots, int64_t limit_ticks,
    bool sell, bool reports, bare_report report, void *context)
{
    struct bare_side *side = &book->sides[!sell];
    while (quantity_lots > 0 && side->best >= 0 && (sell ? side->best >= limit_ticks : side->best <= limit_ticks)) {
        uint32_t price_ticks = (uint32_t)side->best;
        struct bare_level *level = bare_level_at(book, side, price_ticks);
        uint32_t slot = level->head;
        while (slot && quantity_lots > 0) {
            struct bare_order *maker = &book->orders[slot];
            uint32_t lots = maker->quantity_lots < quantity_lots ? maker->quantity_lots : quantity_lots;
            quantity_lots -= lots;
            maker->quantity_lots -= lots;
            if (reports)
                report(context, &(struct bare_event){ .order_id = order_id,
                                    .maker_id = maker->order_id,
                                    .price_ticks = price_ticks,
                                    .quantity_lots = lots,
                                    .remaining_lots = quantity_lots,
                                    .maker_remaining_lots = maker->quantity_lots,
                                    .kind = BARE_FILL,
                                    .side = sell });
            if (maker->quantity_lots > 0)
                break;
            uint32_t next = maker->next;
            book->slots[maker->order_id] = 0;
            maker->next = book->orders_free;
            book->orders_free = slot;
            slot = next;
        }
        level->head = slot;
        if (slot) {
            book->orders[slot].prev = 0;
        } else {
            level->tail = 0;
            bare_close_level(book, price_ticks, !sell);
        }
    }
    return quantity_lots;
}

BARE_INLINE void bare_enter(struct bare_book *book, uint64_t order_id, uint32_t quantity_lots, int64_t price_ticks,
    bool sell, bool rests, bool reports, bare_report report, void *context)
{
    uint32_t left = bare_match(book, order_id, quantity_lots, price_ticks, sell, reports, report, context);
    if (left > 0 && rests)
        bare_add(book, order_id, left, price_ticks, sell);
    if (reports && left > 0)
        report(context, &(struct bare_event){ .order_id = order_id,
                            .price_ticks = price_ticks,
                            .quantity_lots = quantity_lots,
                            .remaining_lots = left,
                            .kind = rests ? BARE_OPENED : BARE_CLOSED,
                            .side = sell });
}

BARE_INLINE void bare_apply(
    struct bare_book *book, const struct workload_op *op, bool reports, bare_report report, void *context)
{
    bool sell = op->side == WORKLOAD_SELL;
    if (op->kind == WORKLOAD_LIMIT || op->kind == WORKLOAD_IOC) {
        bare_enter(book, op->order_id, op->quantity_lots, op->price_ticks, sell, op->kind == WORKLOAD_LIMIT, reports,
            report, context);
        return;
    }
    uint32_t slot = book->slots[op->order_id];
    if (!slot) {
        if (reports)
            report(context, &(struct bare_event){ .order_id = op->order_id, .kind = BARE_UNKNOWN });
        return;
    }
    uint32_t left = book->orders[slot].quantity_lots;
    if (op->kind == WORKLOAD_CANCEL && reports)
        report(context, &(struct bare_event){ .order_id = op->order_id,
                            .price_ticks = book->orders[slot].price_ticks,
                            .remaining_lots = left,
                            .kind = BARE_CLOSED,
                            .side = sell });
    bare_remove(book, slot);
    if (op->kind == WORKLOAD_MOVE)
        bare_enter(book, op->order_id, left, op->price_ticks, sell, true, reports, report, context);
}
