/* book.h -- the resting orders of one market: two sides of price levels, each level a queue in order of arrival.
 * Pure data structure: no matching, no I/O, no clock, and after book_memory_new() no allocation. One thread.
 *
 * Levels. 64 neighbouring ticks form a page with one bitmap word; non-empty pages hang in a 64-ary tree of bitmaps, so
 * that the best price and the next one are found by counting zeros. In front of the tree each side has a window: a
 * direct-mapped table of pages by page number. Any 65,536 neighbouring ticks fit it without conflict, it follows the
 * market by itself, and prices outside fall back to the tree: memory is paid per page in use, never per tick of the
 * range.
 *
 * Orders. One cache line each, pooled by 32-bit slots (0: none). The links of the queues lie apart, eight bytes an
 * order, so that an order that leaves does not call its neighbours' lines from memory. What few orders have (hidden
 * lots, an expiry, own fees, …) lies in a table by the same slot and is touched for them only. Ids are found through a
 * table addressed by their low bits, so that a stream of new ids walks it from line to line; the rare id whose place is
 * taken by another live one goes to a hash table. A 16-bit tag of user and market per slot, in a dense array, finds the
 * orders of a user by a scan. The pools are shared by all books of one book_memory.
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

enum book_flag {
    BOOK_HAS_MORE = 1, /* its struct book_more counts */
    BOOK_WAITS = 2,    /* in a book of stop orders: price_ticks is the stop price */
    BOOK_POST_ONLY = 4,
    BOOK_SLIDES = 8,
    BOOK_SELF_TRADE_SHIFT = 4, /* two bits from here: the mode, less one */
};

struct book_order {
    uint64_t order_id, user_id;
    int64_t price_ticks;
    int64_t remaining_lots; /* > 0; of an iceberg what shows */
    int64_t filled_lots;
    uint32_t level;
    uint16_t market;
    uint8_t side;  /* enum book_side_index */
    uint8_t flags; /* enum book_flag */
} __attribute__((aligned(64)));

struct book_link {
    uint32_t next, prev; /* slots in the level's queue; while free, next links the free list */
};

struct book_more {
    union {
        int64_t hidden_lots; /* of a resting order */
        int64_t limit_ticks; /* of a waiting one */
    };
    int64_t display_lots;  /* 0: all */
    int64_t expires_at_us; /* 0: never */
    uint32_t maker_ppm, taker_ppm;
    uint32_t child, right, left;     /* in the heap of expiries */
    uint32_t quote_next, quote_prev; /* in the list of a quote set */
    uint16_t quote_set;              /* 0: no quote */
    uint8_t type, time_in_force;     /* of a waiting order */
    bool has_fees;
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

/* Everything a shard's books are made of; sized once. Memory is touched only as it is used. */
struct book_memory {
    struct book_order *orders;
    struct book_link *links;
    struct book_more *more;
    struct book_level *levels; /* page p owns levels p × 64 … p × 64 + 63 */
    struct book_page *pages;
    struct book_node *nodes;
    uint32_t *direct;   /* slot by order id & direct_mask */
    uint32_t *overflow; /* slots by hash of the id, linear probing, at most half full */
    uint16_t *tags;     /* by slot; of free slots stale */
    uint32_t *found;    /* room for orders_max slots: the result of a search */
    uint32_t direct_mask, overflow_mask, overflow_live;
    uint32_t orders_max, pages_max, nodes_max;
    uint32_t orders_used, pages_used, nodes_used; /* highest slot ever handed out */
    uint32_t orders_free, pages_free, nodes_free; /* free lists */
    uint32_t orders_live, pages_live, nodes_live;
};

struct book_side {
    uint32_t best;      /* level; BOOK_NONE: empty */
    uint32_t levels;    /* in use */
    int64_t best_ticks; /* price of `best` */
    uint32_t root, height;
    uint32_t window[BOOK_WINDOW_PAGES];
};

struct book {
    struct book_side sides[2];
};

/* Memory outside the heap, which a snapshot's child may have no part in (heap.h): zeros, used only where touched. NULL:
 * not enough address space. */
enum book_huge_pages { BOOK_HUGE_NONE, BOOK_HUGE_ALL, BOOK_HUGE_LATER /* from the second 2 MB on */ };
void *book_reserve(size_t count, size_t size, enum book_huge_pages huge);
void book_give_back(void *memory, size_t count, size_t size); /* NULL is fine */

/* orders_max 1 … 2^30; pages_max bounds how widely prices may be scattered; books: how many will use it. NULL: not
 * enough address space. */
struct book_memory *book_memory_new(uint32_t orders_max, uint32_t pages_max, uint32_t books, enum book_huge_pages huge);
void book_memory_free(struct book_memory *memory); /* NULL is fine */
DEFINE_CLEANUP(struct book_memory *, book_memory_free)

/* Appends to the queue of its price. `order` gives id, user, price > 0, lots, market, side and flags; its id must not
 * be resting. Returns the slot; BOOK_NONE: no room for an order, for a page, or for the lots in one level's sum. */
uint32_t book_add(struct book_memory *memory, struct book *book, const struct book_order *order);

/* `lots` of a resting order were executed, or taken off it. What is left may be 0 until the caller removes or refills
 * it. */
static inline void book_fill(struct book_memory *memory, uint32_t slot, int64_t lots)
{
    struct book_order *order = &memory->orders[slot];
    order->remaining_lots -= lots;
    order->filled_lots += lots;
    memory->levels[order->level].total_lots -= lots;
}

static inline void book_shrink(struct book_memory *memory, uint32_t slot, int64_t lots)
{
    struct book_order *order = &memory->orders[slot];
    order->remaining_lots -= lots;
    memory->levels[order->level].total_lots -= lots;
}

/* Puts an order that shows nothing any more at the end of its queue with `lots`. */
void book_requeue(struct book_memory *memory, uint32_t slot, int64_t lots);

/* Takes an order off the book, whatever is left of it. */
void book_remove(struct book_memory *memory, struct book *book, uint32_t slot);

/* The slots of a user's orders in a market, in memory->found, by order id. Returns how many. Looks at every tag. */
uint32_t book_find_user(struct book_memory *memory, uint64_t user_id, uint16_t market);

/* Sorts slots by order id, in place. */
void book_sort_by_id(const struct book_memory *memory, uint32_t *slots, uint32_t count);

/* The level at a price, or BOOK_NONE if nothing rests there. */
uint32_t book_level_at(
    const struct book_memory *memory, const struct book *book, enum book_side_index side, int64_t price_ticks);

static inline int64_t book_level_price(const struct book_memory *memory, uint32_t level)
{
    return memory->pages[level >> BOOK_PAGE_BITS].number << BOOK_PAGE_BITS | (level & (BOOK_PAGE_TICKS - 1));
}

/* Aborts, naming the broken invariant. For tests; O(everything). */
void book_check(const struct book_memory *memory, const struct book *book);
