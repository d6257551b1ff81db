#include "book.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(struct book_order) == 64, "an order is one cache line");
static_assert(sizeof(struct book_level) == 24, "a page of levels stays small");

enum {
    DIRECTORY_LINE_BITS = 2, /* four entries a cache line */
    DIRECTORY_LINE_MASK = (1 << DIRECTORY_LINE_BITS) - 1,
    ADD_NODES_MAX = 2 * BOOK_HEIGHT_MAX, /* a taller root and a new path down to the page */
    PLACE_MASK = 63,
};

/* ---- Pools: slots from 1, freed ones are used again first, so that the working set stays small. ---- */

static uint32_t order_take(struct book_memory *memory)
{
    uint32_t slot = memory->orders_free;
    if (slot != BOOK_NONE)
        memory->orders_free = memory->orders[slot].next;
    else
        slot = ++memory->orders_used;
    memory->orders_live++;
    return slot;
}

static void order_give(struct book_memory *memory, uint32_t slot)
{
    memory->orders[slot].next = memory->orders_free;
    memory->orders[slot].remaining_lots = 0;
    memory->orders_free = slot;
    memory->orders_live--;
}

static uint32_t page_take(struct book_memory *memory)
{
    uint32_t page = memory->pages_free;
    if (page != BOOK_NONE)
        memory->pages_free = memory->pages[page].parent;
    else
        page = ++memory->pages_used;
    memory->pages_live++;
    return page;
}

static void page_give(struct book_memory *memory, uint32_t page)
{
    memory->pages[page].parent = memory->pages_free;
    memory->pages_free = page;
    memory->pages_live--;
}

static uint32_t node_take(struct book_memory *memory)
{
    uint32_t node = memory->nodes_free;
    if (node != BOOK_NONE)
        memory->nodes_free = memory->nodes[node].parent;
    else
        node = ++memory->nodes_used;
    memory->nodes_live++;
    memory->nodes[node].parent = BOOK_NONE;
    return node;
}

static void node_give(struct book_memory *memory, uint32_t node)
{
    memory->nodes[node].parent = memory->nodes_free;
    memory->nodes_free = node;
    memory->nodes_live--;
}

struct book_memory *book_memory_new(uint32_t orders_max, uint32_t pages_max)
{
    assert(orders_max >= 1 && orders_max <= 1u << 30);
    assert(pages_max >= 1 && pages_max < 1u << (32 - BOOK_PAGE_BITS));
    CLEANUP(book_memory_free) struct book_memory *memory = calloc(1, sizeof *memory);
    if (!memory)
        return NULL;
    uint32_t directory_bits = DIRECTORY_LINE_BITS + 1;
    while (1u << directory_bits < 2 * orders_max)
        directory_bits++;
    memory->orders_max = orders_max;
    memory->pages_max = pages_max;
    memory->nodes_max = 2 * pages_max + 2 * ADD_NODES_MAX;
    memory->directory_mask = (1u << directory_bits) - 1;
    memory->directory_shift = 64 - (directory_bits - DIRECTORY_LINE_BITS);
    size_t orders_size = ((size_t)orders_max + 1) * sizeof *memory->orders;
    memory->orders = aligned_alloc(64, orders_size);
    memory->levels = calloc(((size_t)pages_max + 1) * BOOK_PAGE_TICKS, sizeof *memory->levels);
    memory->pages = calloc((size_t)pages_max + 1, sizeof *memory->pages);
    memory->nodes = calloc((size_t)memory->nodes_max + 1, sizeof *memory->nodes);
    memory->id_pages = calloc((size_t)orders_max + 1, sizeof *memory->id_pages);
    memory->directory = calloc((size_t)memory->directory_mask + 1, sizeof *memory->directory);
    if (!memory->orders || !memory->levels || !memory->pages || !memory->nodes || !memory->id_pages ||
        !memory->directory)
        return NULL;
    return TAKE(memory);
}

void book_memory_free(struct book_memory *memory)
{
    if (!memory)
        return;
    free(memory->orders);
    free(memory->levels);
    free(memory->pages);
    free(memory->nodes);
    free(memory->id_pages);
    free(memory->directory);
    free(memory);
}

bool book_has_room(const struct book_memory *memory)
{
    return memory->orders_live < memory->orders_max && memory->pages_live < memory->pages_max &&
           memory->nodes_live + ADD_NODES_MAX <= memory->nodes_max;
}

/* ---- Index: order id → slot. Deletion shifts entries back, so the directory has no tombstones to clean. ---- */

/* Neighbouring pages of ids share a line of the directory. */
static inline uint32_t directory_home(const struct book_memory *memory, uint64_t key)
{
    uint64_t line = (key >> DIRECTORY_LINE_BITS) * 0x9e3779b97f4a7c15u >> memory->directory_shift;
    return (uint32_t)line << DIRECTORY_LINE_BITS | ((uint32_t)key & DIRECTORY_LINE_MASK);
}

/* The entry of a key, or the empty one where it would go. */
static inline struct book_id_entry *directory_entry(const struct book_memory *memory, uint64_t key)
{
    uint32_t at = directory_home(memory, key);
    while (memory->directory[at].key != key && memory->directory[at].key != 0)
        at = (at + 1) & memory->directory_mask;
    return &memory->directory[at];
}

static inline uint64_t id_key(uint64_t order_id)
{
    return (order_id >> BOOK_ID_BITS) + 1;
}

static void directory_erase(struct book_memory *memory, struct book_id_entry *entry)
{
    uint32_t hole = (uint32_t)(entry - memory->directory), mask = memory->directory_mask;
    for (uint32_t at = (hole + 1) & mask; memory->directory[at].key != 0; at = (at + 1) & mask) {
        uint32_t home = directory_home(memory, memory->directory[at].key);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            memory->directory[hole] = memory->directory[at];
            hole = at;
        }
    }
    memory->directory[hole].key = 0;
}

static uint32_t id_page_take(struct book_memory *memory)
{
    uint32_t page = memory->id_pages_free;
    if (page == BOOK_NONE)
        return ++memory->id_pages_used;
    memory->id_pages_free = memory->id_pages[page].slots[0];
    memory->id_pages[page].slots[0] = BOOK_NONE;
    return page;
}

static void index_insert(struct book_memory *memory, uint64_t order_id, uint32_t slot)
{
    struct book_id_entry *entry = directory_entry(memory, id_key(order_id));
    if (entry->key == 0)
        *entry = (struct book_id_entry){ .key = id_key(order_id), .page = id_page_take(memory) };
    entry->live++;
    memory->id_pages[entry->page].slots[order_id & (BOOK_ID_PAGE - 1)] = slot;
}

static void index_erase(struct book_memory *memory, uint64_t order_id)
{
    struct book_id_entry *entry = directory_entry(memory, id_key(order_id));
    assert(entry->key != 0);
    memory->id_pages[entry->page].slots[order_id & (BOOK_ID_PAGE - 1)] = BOOK_NONE;
    if (--entry->live > 0)
        return;
    memory->id_pages[entry->page].slots[0] = memory->id_pages_free;
    memory->id_pages_free = entry->page;
    directory_erase(memory, entry);
}

uint32_t book_find(const struct book_memory *memory, uint64_t order_id)
{
    const struct book_id_entry *entry = directory_entry(memory, id_key(order_id));
    return entry->key == 0 ? BOOK_NONE : memory->id_pages[entry->page].slots[order_id & (BOOK_ID_PAGE - 1)];
}

/* ---- Tree of pages ---- */

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

static inline uint32_t place_in_row(int64_t page_number, uint32_t row)
{
    return (uint32_t)(page_number >> (BOOK_PAGE_BITS * row)) & PLACE_MASK;
}

static inline bool within_height(int64_t page_number, uint32_t height)
{
    return height >= BOOK_HEIGHT_MAX || page_number >> (BOOK_PAGE_BITS * height) == 0;
}

static uint32_t page_find(const struct book_memory *memory, const struct book_side *side, int64_t number)
{
    if (side->root == BOOK_NONE || !within_height(number, side->height))
        return BOOK_NONE;
    uint32_t at = side->root;
    for (uint32_t row = side->height; row-- > 0;) {
        uint32_t place = place_in_row(number, row);
        if (!(memory->nodes[at].used >> place & 1))
            return BOOK_NONE;
        at = memory->nodes[at].child[place];
    }
    return at;
}

static void node_hang(struct book_memory *memory, uint32_t parent, uint32_t place, uint32_t child)
{
    memory->nodes[parent].used |= 1ull << place;
    memory->nodes[parent].child[place] = child;
}

static void tree_raise(struct book_memory *memory, struct book_side *side, int64_t number)
{
    if (side->root == BOOK_NONE) {
        side->height = 1;
        side->root = node_take(memory);
    }
    while (!within_height(number, side->height)) {
        if (memory->nodes[side->root].used != 0) {
            uint32_t root = node_take(memory);
            node_hang(memory, root, 0, side->root);
            memory->nodes[side->root].parent = root;
            memory->nodes[side->root].place = 0;
            side->root = root;
        }
        side->height++;
    }
}

static uint32_t page_make(struct book_memory *memory, struct book_side *side, int64_t number)
{
    tree_raise(memory, side, number);
    uint32_t at = side->root;
    for (uint32_t row = side->height - 1; row > 0; row--) {
        uint32_t place = place_in_row(number, row);
        if (!(memory->nodes[at].used >> place & 1)) {
            uint32_t node = node_take(memory);
            memory->nodes[node].parent = at;
            memory->nodes[node].place = (uint8_t)place;
            node_hang(memory, at, place, node);
        }
        at = memory->nodes[at].child[place];
    }
    uint32_t place = place_in_row(number, 0);
    uint32_t page = page_take(memory);
    node_hang(memory, at, place, page);
    memory->pages[page] = (struct book_page){ .number = number, .parent = at, .place = (uint8_t)place };
    return page;
}

static void page_drop(struct book_memory *memory, struct book_side *side, uint32_t page)
{
    uint32_t *cached = &side->window[memory->pages[page].number & (BOOK_WINDOW_PAGES - 1)];
    if (*cached == page)
        *cached = BOOK_NONE;
    uint32_t node = memory->pages[page].parent;
    uint32_t place = memory->pages[page].place;
    page_give(memory, page);
    memory->nodes[node].used &= ~(1ull << place);
    while (memory->nodes[node].used == 0 && node != side->root) {
        uint32_t parent = memory->nodes[node].parent;
        memory->nodes[parent].used &= ~(1ull << memory->nodes[node].place);
        node_give(memory, node);
        node = parent;
    }
}

/* The page after `page`, away from the touch. */
static uint32_t page_after(const struct book_memory *memory, enum book_side_index side, uint32_t page)
{
    uint32_t place = memory->pages[page].place;
    uint32_t node = memory->pages[page].parent;
    uint32_t row = 0;
    uint64_t rest;
    while ((rest = farther(memory->nodes[node].used, place, side)) == 0) {
        place = memory->nodes[node].place;
        node = memory->nodes[node].parent;
        row++;
        if (node == BOOK_NONE)
            return BOOK_NONE;
    }
    uint32_t at = memory->nodes[node].child[nearest(rest, side)];
    for (; row > 0; row--)
        at = memory->nodes[at].child[nearest(memory->nodes[at].used, side)];
    return at;
}

/* ---- Levels ---- */

/* Through the window; the tree is asked only for pages that are not in it. */
static inline uint32_t page_lookup(const struct book_memory *memory, const struct book_side *side, int64_t number)
{
    uint32_t page = side->window[number & (BOOK_WINDOW_PAGES - 1)];
    if (page != BOOK_NONE && memory->pages[page].number == number)
        return page;
    return page_find(memory, side, number);
}

uint32_t book_level_at(
    const struct book_memory *memory, const struct book *book, enum book_side_index side, int64_t price_ticks)
{
    uint32_t page = page_lookup(memory, &book->sides[side], price_ticks >> BOOK_PAGE_BITS);
    uint32_t tick = (uint32_t)price_ticks & (BOOK_PAGE_TICKS - 1);
    return page != BOOK_NONE && memory->pages[page].used >> tick & 1 ? page << BOOK_PAGE_BITS | tick : BOOK_NONE;
}

uint32_t book_level_after(const struct book_memory *memory, enum book_side_index side, uint32_t level)
{
    uint32_t page = level >> BOOK_PAGE_BITS;
    uint64_t rest = farther(memory->pages[page].used, level & (BOOK_PAGE_TICKS - 1), side);
    if (rest == 0) {
        page = page_after(memory, side, page);
        if (page == BOOK_NONE)
            return BOOK_NONE;
        rest = memory->pages[page].used;
    }
    return page << BOOK_PAGE_BITS | nearest(rest, side);
}

static uint32_t level_open(
    struct book_memory *memory, struct book_side *side, enum book_side_index index, int64_t price_ticks)
{
    int64_t number = price_ticks >> BOOK_PAGE_BITS;
    uint32_t page = page_lookup(memory, side, number);
    if (page == BOOK_NONE)
        page = page_make(memory, side, number);
    side->window[number & (BOOK_WINDOW_PAGES - 1)] = page;
    uint32_t tick = (uint32_t)price_ticks & (BOOK_PAGE_TICKS - 1);
    uint32_t level = page << BOOK_PAGE_BITS | tick;
    if (memory->levels[level].orders == 0) {
        memory->pages[page].used |= 1ull << tick;
        side->levels++;
        if (side->best == BOOK_NONE || (index == BOOK_ASK ? price_ticks < book_level_price(memory, side->best)
                                                          : price_ticks > book_level_price(memory, side->best)))
            side->best = level;
    }
    return level;
}

static void level_close(struct book_memory *memory, struct book_side *side, enum book_side_index index, uint32_t level)
{
    if (side->best == level)
        side->best = book_level_after(memory, index, level);
    side->levels--;
    uint32_t page = level >> BOOK_PAGE_BITS;
    memory->pages[page].used &= ~(1ull << (level & (BOOK_PAGE_TICKS - 1)));
    if (memory->pages[page].used == 0)
        page_drop(memory, side, page);
}

/* ---- Orders ---- */

uint32_t book_add(struct book_memory *memory, struct book *book, const struct book_order *order)
{
    assert(order->price_ticks > 0 && order->remaining_lots > 0);
    enum book_side_index index = order->side;
    uint32_t level_slot = level_open(memory, &book->sides[index], index, order->price_ticks);
    struct book_level *level = &memory->levels[level_slot];
    uint32_t slot = order_take(memory);
    struct book_order *resting = &memory->orders[slot];
    *resting = *order;
    resting->level = level_slot;
    resting->next = BOOK_NONE;
    resting->prev = level->tail;
    if (level->tail != BOOK_NONE)
        memory->orders[level->tail].next = slot;
    else
        level->head = slot;
    level->tail = slot;
    level->orders++;
    level->total_lots += order->remaining_lots;
    index_insert(memory, order->order_id, slot);
    return slot;
}

void book_remove(struct book_memory *memory, struct book *book, uint32_t slot)
{
    struct book_order *order = &memory->orders[slot];
    struct book_level *level = &memory->levels[order->level];
    if (order->prev != BOOK_NONE)
        memory->orders[order->prev].next = order->next;
    else
        level->head = order->next;
    if (order->next != BOOK_NONE)
        memory->orders[order->next].prev = order->prev;
    else
        level->tail = order->prev;
    level->total_lots -= order->remaining_lots;
    index_erase(memory, order->order_id);
    if (--level->orders == 0)
        level_close(memory, &book->sides[order->side], order->side, order->level);
    order_give(memory, slot);
}

void book_reduce(struct book_memory *memory, struct book *book, uint32_t slot, int64_t lots)
{
    struct book_order *order = &memory->orders[slot];
    assert(lots > 0 && lots <= order->remaining_lots);
    if (lots == order->remaining_lots) {
        book_remove(memory, book, slot);
        return;
    }
    order->remaining_lots -= lots;
    order->filled_lots += lots;
    memory->levels[order->level].total_lots -= lots;
}

/* ---- Checks ---- */

static uint32_t check_level(const struct book_memory *memory, enum book_side_index side, uint32_t slot)
{
    const struct book_level *level = &memory->levels[slot];
    int64_t lots = 0;
    uint32_t orders = 0, prev = BOOK_NONE;
    for (uint32_t at = level->head; at != BOOK_NONE; at = memory->orders[at].next) {
        const struct book_order *order = &memory->orders[at];
        assert(order->prev == prev && order->level == slot && order->side == side && order->remaining_lots > 0);
        assert(order->price_ticks == book_level_price(memory, slot));
        assert(book_find(memory, order->order_id) == at);
        lots += order->remaining_lots;
        orders++;
        prev = at;
    }
    assert(orders > 0 && orders == level->orders && lots == level->total_lots && prev == level->tail);
    return orders;
}

void book_check(const struct book_memory *memory, const struct book *book)
{
    for (enum book_side_index side = BOOK_BID; side <= BOOK_ASK; side++) {
        uint32_t levels = 0;
        int64_t previous = 0;
        for (uint32_t at = book->sides[side].best; at != BOOK_NONE; at = book_level_after(memory, side, at)) {
            int64_t price = book_level_price(memory, at);
            assert(previous == 0 || (side == BOOK_ASK ? price > previous : price < previous));
            assert(book_level_at(memory, book, side, price) == at);
            assert(page_find(memory, &book->sides[side], price >> BOOK_PAGE_BITS) == at >> BOOK_PAGE_BITS);
            check_level(memory, side, at);
            previous = price;
            levels++;
        }
        assert(levels == book->sides[side].levels);
    }
    uint32_t bid = book->sides[BOOK_BID].best, ask = book->sides[BOOK_ASK].best;
    assert(bid == BOOK_NONE || ask == BOOK_NONE || book_level_price(memory, bid) < book_level_price(memory, ask));
}
