/* book_inline.h -- the steps of a book that happen by the million, for book.c and the core's straight paths.
 *
 * Queues are linked without asking whether there is a neighbour: links[BOOK_NONE] takes the writes that are for nobody,
 * and nobody reads it. Which orders have neighbours is as random as the flow, and a wrong guess costs more than all of
 * it. */
#pragma once

#include "book.h"

/* `a` if the condition holds, else `b`: by a mask, as compilers like to make a branch of it. */
static inline uint32_t pick(bool condition, uint32_t a, uint32_t b)
{
    return b ^ ((a ^ b) & -(uint32_t)condition);
}

static inline int64_t pick_wide(bool condition, int64_t a, int64_t b)
{
    return b ^ ((a ^ b) & -(int64_t)condition);
}

/* ---- The rare parts, in book.c ---- */

uint32_t book_find_overflow(const struct book_memory *memory, uint64_t order_id);
void book_index_overflow(struct book_memory *memory, uint64_t order_id, uint32_t slot);
void book_erase_overflow(struct book_memory *memory, uint64_t order_id);
uint32_t book_find_page(const struct book_memory *memory, const struct book_side *side, int64_t number);
/* The page of this number, made if need be, and put in the window. BOOK_NONE: no room. */
uint32_t book_bring_page(struct book_memory *memory, struct book_side *side, int64_t number);
uint32_t book_page_after(const struct book_memory *memory, enum book_side_index side, uint32_t page);
void book_drop_page(struct book_memory *memory, struct book_side *side, uint32_t page);

/* ---- Index: order id → slot ---- */

/* Slot of a resting order, or BOOK_NONE. */
static inline uint32_t book_find(const struct book_memory *memory, uint64_t order_id)
{
    uint32_t slot = memory->direct[order_id & memory->direct_mask];
    if (slot != BOOK_NONE && memory->orders[slot].order_id == order_id)
        return slot;
    return __builtin_expect(memory->overflow_live == 0, 1) ? BOOK_NONE : book_find_overflow(memory, order_id);
}

static inline void index_insert(struct book_memory *memory, uint64_t order_id, uint32_t slot)
{
    uint32_t *place = &memory->direct[order_id & memory->direct_mask];
    if (__builtin_expect(*place == BOOK_NONE, 1))
        *place = slot;
    else
        book_index_overflow(memory, order_id, slot);
}

static inline void index_erase(struct book_memory *memory, uint64_t order_id, uint32_t slot)
{
    uint32_t *place = &memory->direct[order_id & memory->direct_mask];
    if (__builtin_expect(*place == slot, 1))
        *place = BOOK_NONE;
    else
        book_erase_overflow(memory, order_id);
}

static inline uint16_t tag_of(uint64_t user_id, uint16_t market)
{
    return (uint16_t)((user_id ^ (uint64_t)market << 48) * 0x9e3779b97f4a7c15u >> 48);
}

/* ---- Pool ---- */

static inline uint32_t order_take(struct book_memory *memory)
{
    uint32_t slot = memory->orders_free;
    if (__builtin_expect(slot != BOOK_NONE, 1))
        memory->orders_free = memory->links[slot].next;
    else
        slot = ++memory->orders_used;
    memory->orders_live++;
    return slot;
}

static inline void order_give(struct book_memory *memory, uint32_t slot)
{
    memory->links[slot].next = memory->orders_free;
    memory->orders[slot].level = BOOK_NONE;
    memory->orders_free = slot;
    memory->orders_live--;
    __builtin_prefetch(&memory->tags[slot], 1); /* the next order takes this slot */
}

/* ---- Levels ---- */

/* Of the places in `used`, the one nearest to the touch: lowest price for asks, highest for bids. */
static inline uint32_t nearest(uint64_t used, enum book_side_index side)
{
    return side == BOOK_ASK ? (uint32_t)__builtin_ctzll(used) : 63u - (uint32_t)__builtin_clzll(used);
}

/* The places farther from the touch than `place`. */
static inline uint64_t farther(uint64_t used, uint32_t place, enum book_side_index side)
{
    return side == BOOK_ASK ? used & ~((2ull << place) - 1) : used & ((1ull << place) - 1);
}

/* Is price `a` nearer to the touch than `b`? Without a branch on the side. */
static inline bool is_nearer(enum book_side_index side, int64_t a, int64_t b)
{
    int64_t flip = (int64_t)side - 1; /* bids: all ones, which turns the order round */
    return (a ^ flip) < (b ^ flip);
}

/* Through the window; the tree is asked only for pages that are not in it. */
static inline uint32_t page_lookup(const struct book_memory *memory, const struct book_side *side, int64_t number)
{
    uint32_t page = side->window[number & (BOOK_WINDOW_PAGES - 1)];
    if (__builtin_expect(page != BOOK_NONE && memory->pages[page].number == number, 1))
        return page;
    return book_find_page(memory, side, number);
}

/* The level of a price, ready to take an order. BOOK_NONE: no room for its page. */
static inline uint32_t level_for(struct book_memory *memory, struct book_side *side, int64_t price_ticks)
{
    int64_t number = price_ticks >> BOOK_PAGE_BITS;
    uint32_t page = side->window[number & (BOOK_WINDOW_PAGES - 1)];
    if (__builtin_expect(page == BOOK_NONE || memory->pages[page].number != number, 0)) {
        page = book_bring_page(memory, side, number);
        if (page == BOOK_NONE)
            return BOOK_NONE;
    }
    return page << BOOK_PAGE_BITS | ((uint32_t)price_ticks & (BOOK_PAGE_TICKS - 1));
}

/* The next level away from the touch, or BOOK_NONE. With the other side's index: the next one towards the touch. */
static inline uint32_t book_level_after(const struct book_memory *memory, enum book_side_index side, uint32_t level)
{
    uint32_t page = level >> BOOK_PAGE_BITS;
    uint64_t rest = farther(memory->pages[page].used, level & (BOOK_PAGE_TICKS - 1), side);
    if (rest == 0) {
        page = book_page_after(memory, side, page);
        if (page == BOOK_NONE)
            return BOOK_NONE;
        rest = memory->pages[page].used;
    }
    return page << BOOK_PAGE_BITS | nearest(rest, side);
}

static inline void level_open(
    struct book_memory *memory, struct book_side *side, enum book_side_index index, uint32_t level, int64_t price_ticks)
{
    memory->pages[level >> BOOK_PAGE_BITS].used |= 1ull << (level & (BOOK_PAGE_TICKS - 1));
    side->levels++;
    if (side->best == BOOK_NONE || is_nearer(index, price_ticks, side->best_ticks)) {
        side->best = level;
        side->best_ticks = price_ticks;
    }
}

static inline void level_close(
    struct book_memory *memory, struct book_side *side, enum book_side_index index, uint32_t level)
{
    if (side->best == level) {
        side->best = book_level_after(memory, index, level);
        if (side->best != BOOK_NONE)
            side->best_ticks = book_level_price(memory, side->best);
    }
    side->levels--;
    uint32_t page = level >> BOOK_PAGE_BITS;
    memory->pages[page].used &= ~(1ull << (level & (BOOK_PAGE_TICKS - 1)));
    if (__builtin_expect(memory->pages[page].used == 0, 0))
        book_drop_page(memory, side, page);
}

/* ---- Queues ---- */

static inline void link_last(struct book_memory *memory, struct book_level *level, uint32_t slot)
{
    uint32_t tail = level->tail;
    memory->links[slot] = (struct book_link){ .next = BOOK_NONE, .prev = tail };
    memory->links[tail].next = slot;
    level->head = pick(tail != BOOK_NONE, level->head, slot);
    level->tail = slot;
}

static inline void unlink_order(struct book_memory *memory, struct book_level *level, uint32_t slot)
{
    uint32_t next = memory->links[slot].next, prev = memory->links[slot].prev;
    memory->links[prev].next = next;
    memory->links[next].prev = prev;
    level->head = pick(prev != BOOK_NONE, level->head, next);
    level->tail = pick(next != BOOK_NONE, level->tail, prev);
}
