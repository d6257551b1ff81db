/* book.h -- the resting orders of one market: two sides of price levels, each level a queue in order of arrival.
 * Pure data structure: no matching, no I/O, no clock, and after book_memory_new() no allocation. One thread.
 *
 * Levels. 64 neighbouring ticks form a page with one bitmap word; non-empty pages hang in a 64-ary tree of bitmaps, so
 * that the best price and the next one are found by counting zeros. In front of the tree each side has a window: a
 * direct-mapped table of pages by page number. Any 65,536 neighbouring ticks fit it without conflict, it follows the
 * market by itself, and prices outside fall back to the tree: memory is paid per page in use, never per tick of the
 * range.
 *
 * Orders. One cache line each, pooled, linked by 32-bit slots (0: none), found by order id through an open-addressed
 * index that keeps neighbouring ids in one line. The pools are shared by all books of one book_memory.
 *
 * Invariants: a level that is in its page's bitmap has at least one order; a page in the tree has at least one level;
 * total_lots and orders of a level are those of its queue; every resting order is in the index, once. */
#pragma once

#include <event_bus/base.h>

enum {
    BOOK_PAGE_BITS = 6,
    BOOK_PAGE_TICKS = 1 << BOOK_PAGE_BITS,
    BOOK_WINDOW_PAGES = 1024,
    BOOK_HEIGHT_MAX = 10, /* 10 × 6 bits of page number and 6 of tick: every positive int64 */
    BOOK_NONE = 0,        /* no slot, level, page or node */
};

enum book_side_index { BOOK_BID, BOOK_ASK };

struct book_order {
    uint64_t order_id, user_id;
    int64_t price_ticks;
    int64_t remaining_lots; /* > 0 */
    int64_t filled_lots;
    uint32_t next, prev; /* slots in the level's queue; while free, next links the free list */
    uint32_t level;
    uint16_t market;
    uint8_t side; /* enum book_side_index */
} __attribute__((aligned(64)));

struct book_level {
    int64_t total_lots;
    uint32_t head, tail; /* slots */
    uint32_t orders;
};

struct book_page {
    uint64_t used;   /* bit per tick */
    int64_t number;  /* price_ticks >> BOOK_PAGE_BITS */
    uint32_t parent; /* node; while free, links the free list */
    uint8_t place;   /* bit in the parent */
};

struct book_node {
    uint64_t used;
    uint32_t child[64]; /* nodes, or pages in the lowest row */
    uint32_t parent;
    uint8_t place;
};

enum { BOOK_ID_BITS = 6, BOOK_ID_PAGE = 1 << BOOK_ID_BITS };

struct book_id_page {
    uint32_t slots[BOOK_ID_PAGE]; /* BOOK_NONE: no such order; while the page is free, slots[0] links the free list */
};

struct book_id_entry {
    uint64_t key;  /* order id >> BOOK_ID_BITS, plus 1; 0: empty */
    uint32_t page; /* of ids */
    uint32_t live; /* slots in use there, > 0 */
};

/* Everything a shard's books are made of; sized once. Memory is touched only as it is used. */
struct book_memory {
    struct book_order *orders;
    struct book_level *levels; /* page p owns levels p × 64 … p × 64 + 63 */
    struct book_page *pages;
    struct book_node *nodes;
    struct book_id_page *id_pages;
    struct book_id_entry *directory; /* linear probing, at most half full */
    uint32_t orders_max, pages_max, nodes_max;
    uint32_t orders_used, pages_used, nodes_used; /* highest slot ever handed out */
    uint32_t orders_free, pages_free, nodes_free; /* free lists */
    uint32_t orders_live, pages_live, nodes_live;
    uint32_t id_pages_used, id_pages_free;
    uint32_t directory_mask, directory_shift;
};

struct book_side {
    uint32_t best; /* level; BOOK_NONE: empty */
    uint32_t root, height;
    uint32_t levels; /* in use */
    uint32_t window[BOOK_WINDOW_PAGES];
};

struct book {
    struct book_side sides[2];
};

/* orders_max 1 … 2^30; pages_max bounds how widely prices may be scattered. NULL: not enough address space. */
struct book_memory *book_memory_new(uint32_t orders_max, uint32_t pages_max);
void book_memory_free(struct book_memory *memory); /* NULL is fine */
DEFINE_CLEANUP(struct book_memory *, book_memory_free)

/* true: book_add() with any price will succeed. */
bool book_has_room(const struct book_memory *memory);

/* Appends to the queue of its price. `order` gives id, user, price > 0, lots, market and side; its id must not be
 * resting. Needs book_has_room(). Returns the slot. */
uint32_t book_add(struct book_memory *memory, struct book *book, const struct book_order *order);

/* Takes `lots` off a resting order; with nothing left it leaves the book and its slot is free. */
void book_reduce(struct book_memory *memory, struct book *book, uint32_t slot, int64_t lots);

/* Takes an order off the book, whatever is left of it. */
void book_remove(struct book_memory *memory, struct book *book, uint32_t slot);

/* Slot of a resting order, or BOOK_NONE. */
uint32_t book_find(const struct book_memory *memory, uint64_t order_id);

/* The level at a price, or BOOK_NONE if nothing rests there. */
uint32_t book_level_at(
    const struct book_memory *memory, const struct book *book, enum book_side_index side, int64_t price_ticks);

/* The next level away from the touch, or BOOK_NONE. */
uint32_t book_level_after(const struct book_memory *memory, enum book_side_index side, uint32_t level);

static inline int64_t book_level_price(const struct book_memory *memory, uint32_t level)
{
    return memory->pages[level >> BOOK_PAGE_BITS].number << BOOK_PAGE_BITS | (level & (BOOK_PAGE_TICKS - 1));
}

/* Aborts, naming the broken invariant. For tests; O(everything). */
void book_check(const struct book_memory *memory, const struct book *book);
