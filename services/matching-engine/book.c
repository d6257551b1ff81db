#include "book_inline.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

static_assert(sizeof(struct book_order) == 64, "an order is one cache line");
static_assert(sizeof(struct book_more) == 64, "and what few have is another");
static_assert(sizeof(struct book_link) == 8, "links are dense");
static_assert(sizeof(struct book_level) == 24, "a page of levels stays small");

enum {
    DIRECT_PER_ORDER = 4, /* places by low bits of the id for each order that may rest */
    ORDERS_LIMIT = 1 << 28,
    PLACE_MASK = 63,
    HUGE_PAGE = 2 << 20, /* bytes */
};

/* ---- Pools: slots from 1, freed ones are used again first, so that the working set stays small. ---- */

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

void *book_reserve(size_t count, size_t size, enum book_huge_pages huge)
{
    void *memory = mmap(NULL, count * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    size_t small = huge == BOOK_HUGE_LATER ? HUGE_PAGE - (uintptr_t)memory % HUGE_PAGE : 0;
    if (huge != BOOK_HUGE_NONE && count * size > small)
        madvise((char *)memory + small, count * size - small, MADV_HUGEPAGE); /* advice: refused, it is merely slower */
    return memory;
}

void book_give_back(void *memory, size_t count, size_t size)
{
    if (memory)
        munmap(memory, count * size);
}

static uint32_t power_of_two_from(uint64_t count)
{
    uint32_t size = 64;
    while (size < count)
        size *= 2;
    return size;
}

struct book_memory *book_memory_new(uint32_t orders_max, uint32_t pages_max, uint32_t books, enum book_huge_pages huge)
{
    assert(orders_max >= 1 && orders_max <= ORDERS_LIMIT);
    assert(pages_max >= 1 && pages_max < 1u << (32 - BOOK_PAGE_BITS));
    CLEANUP(book_memory_free) struct book_memory *memory = book_reserve(1, sizeof *memory, BOOK_HUGE_NONE);
    if (!memory)
        return NULL;
    memory->orders_max = orders_max;
    memory->pages_max = pages_max;
    /* Enough for any set of pages, so that whether an order finds room never depends on how the trees grew. */
    memory->nodes_max = BOOK_HEIGHT_MAX * pages_max + 2 * books;
    memory->direct_mask = power_of_two_from((uint64_t)DIRECT_PER_ORDER * orders_max) - 1;
    memory->overflow_mask = power_of_two_from(2ull * orders_max) - 1;
    memory->orders = book_reserve((size_t)orders_max + 1, sizeof *memory->orders, huge);
    memory->links = book_reserve((size_t)orders_max + 1, sizeof *memory->links, huge);
    memory->more = book_reserve((size_t)orders_max + 1, sizeof *memory->more, BOOK_HUGE_NONE);
    memory->levels = book_reserve(((size_t)pages_max + 1) * BOOK_PAGE_TICKS, sizeof *memory->levels, huge);
    memory->pages = book_reserve((size_t)pages_max + 1, sizeof *memory->pages, huge);
    memory->nodes = book_reserve((size_t)memory->nodes_max + 1, sizeof *memory->nodes, BOOK_HUGE_NONE);
    memory->direct = book_reserve((size_t)memory->direct_mask + 1, sizeof *memory->direct, huge);
    memory->overflow = book_reserve((size_t)memory->overflow_mask + 1, sizeof *memory->overflow, BOOK_HUGE_NONE);
    memory->tags = book_reserve((size_t)orders_max + 1, sizeof *memory->tags, huge);
    memory->found = book_reserve((size_t)orders_max + 1, sizeof *memory->found, BOOK_HUGE_NONE);
    if (!memory->orders || !memory->links || !memory->more || !memory->levels || !memory->pages || !memory->nodes ||
        !memory->direct || !memory->overflow || !memory->tags || !memory->found)
        return NULL;
    return TAKE(memory);
}

void book_memory_free(struct book_memory *memory)
{
    if (!memory)
        return;
    book_give_back(memory->orders, (size_t)memory->orders_max + 1, sizeof *memory->orders);
    book_give_back(memory->links, (size_t)memory->orders_max + 1, sizeof *memory->links);
    book_give_back(memory->more, (size_t)memory->orders_max + 1, sizeof *memory->more);
    book_give_back(memory->levels, ((size_t)memory->pages_max + 1) * BOOK_PAGE_TICKS, sizeof *memory->levels);
    book_give_back(memory->pages, (size_t)memory->pages_max + 1, sizeof *memory->pages);
    book_give_back(memory->nodes, (size_t)memory->nodes_max + 1, sizeof *memory->nodes);
    book_give_back(memory->direct, (size_t)memory->direct_mask + 1, sizeof *memory->direct);
    book_give_back(memory->overflow, (size_t)memory->overflow_mask + 1, sizeof *memory->overflow);
    book_give_back(memory->tags, (size_t)memory->orders_max + 1, sizeof *memory->tags);
    book_give_back(memory->found, (size_t)memory->orders_max + 1, sizeof *memory->found);
    book_give_back(memory, 1, sizeof *memory);
}

/* ---- Index: order id → slot. Deletion from the overflow shifts entries back, so there are no tombstones to clean.
 * ---- */

static inline uint32_t overflow_home(const struct book_memory *memory, uint64_t order_id)
{
    return (uint32_t)(order_id * 0x9e3779b97f4a7c15u >> 32) & memory->overflow_mask;
}

static uint32_t overflow_find(const struct book_memory *memory, uint64_t order_id)
{
    uint32_t at = overflow_home(memory, order_id);
    while (memory->overflow[at] != BOOK_NONE && memory->orders[memory->overflow[at]].order_id != order_id)
        at = (at + 1) & memory->overflow_mask;
    return at;
}

void book_erase_overflow(struct book_memory *memory, uint64_t order_id)
{
    uint32_t mask = memory->overflow_mask, hole = overflow_find(memory, order_id);
    assert(memory->overflow[hole] != BOOK_NONE);
    for (uint32_t at = (hole + 1) & mask; memory->overflow[at] != BOOK_NONE; at = (at + 1) & mask) {
        uint32_t home = overflow_home(memory, memory->orders[memory->overflow[at]].order_id);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            memory->overflow[hole] = memory->overflow[at];
            hole = at;
        }
    }
    memory->overflow[hole] = BOOK_NONE;
    memory->overflow_live--;
}

uint32_t book_find_overflow(const struct book_memory *memory, uint64_t order_id)
{
    return memory->overflow[overflow_find(memory, order_id)];
}

void book_index_overflow(struct book_memory *memory, uint64_t order_id, uint32_t slot)
{
    memory->overflow[overflow_find(memory, order_id)] = slot;
    memory->overflow_live++;
}

/* ---- Orders of a user ---- */

static void sift_down(const struct book_order *orders, uint32_t *slots, uint32_t at, uint32_t count)
{
    uint32_t slot = slots[at], child;
    while ((child = 2 * at + 1) < count) {
        if (child + 1 < count && orders[slots[child + 1]].order_id > orders[slots[child]].order_id)
            child++;
        if (orders[slots[child]].order_id <= orders[slot].order_id)
            break;
        slots[at] = slots[child];
        at = child;
    }
    slots[at] = slot;
}

/* A heap sort: qsort() would allocate. */
void book_sort_by_id(const struct book_memory *memory, uint32_t *slots, uint32_t count)
{
    for (uint32_t at = count / 2; at-- > 0;)
        sift_down(memory->orders, slots, at, count);
    for (uint32_t end = count; end-- > 1;) {
        uint32_t last = slots[0];
        slots[0] = slots[end];
        slots[end] = last;
        sift_down(memory->orders, slots, 0, end);
    }
}

uint32_t book_find_user(struct book_memory *memory, uint64_t user_id, uint16_t market)
{
    uint16_t tag = tag_of(user_id, market);
    uint32_t count = 0;
    for (uint32_t slot = 1; slot <= memory->orders_used; slot++) {
        const struct book_order *order = &memory->orders[slot];
        if (memory->tags[slot] == tag && order->level != BOOK_NONE && order->user_id == user_id &&
            order->market == market)
            memory->found[count++] = slot;
    }
    book_sort_by_id(memory, memory->found, count);
    return count;
}

/* ---- Tree of pages ---- */

static inline uint32_t place_in_row(int64_t page_number, uint32_t row)
{
    return (uint32_t)(page_number >> (BOOK_PAGE_BITS * row)) & PLACE_MASK;
}

static inline bool within_height(int64_t page_number, uint32_t height)
{
    return height >= BOOK_HEIGHT_MAX || page_number >> (BOOK_PAGE_BITS * height) == 0;
}

uint32_t book_find_page(const struct book_memory *memory, const struct book_side *side, int64_t number)
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

uint32_t book_bring_page(struct book_memory *memory, struct book_side *side, int64_t number)
{
    uint32_t page = book_find_page(memory, side, number);
    if (page == BOOK_NONE && memory->pages_live < memory->pages_max)
        page = page_make(memory, side, number);
    if (page != BOOK_NONE)
        side->window[number & (BOOK_WINDOW_PAGES - 1)] = page;
    return page;
}

void book_drop_page(struct book_memory *memory, struct book_side *side, uint32_t page)
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
uint32_t book_page_after(const struct book_memory *memory, enum book_side_index side, uint32_t page)
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

uint32_t book_level_at(
    const struct book_memory *memory, const struct book *book, enum book_side_index side, int64_t price_ticks)
{
    uint32_t page = page_lookup(memory, &book->sides[side], price_ticks >> BOOK_PAGE_BITS);
    uint32_t tick = (uint32_t)price_ticks & (BOOK_PAGE_TICKS - 1);
    return page != BOOK_NONE && memory->pages[page].used >> tick & 1 ? page << BOOK_PAGE_BITS | tick : BOOK_NONE;
}

/* ---- Orders ---- */

uint32_t book_add(struct book_memory *memory, struct book *book, const struct book_order *order)
{
    assert(order->price_ticks > 0 && order->remaining_lots > 0);
    enum book_side_index index = order->side;
    struct book_side *side = &book->sides[index];
    if (memory->orders_live >= memory->orders_max)
        return BOOK_NONE;
    uint32_t level_slot = level_for(memory, side, order->price_ticks);
    if (level_slot == BOOK_NONE)
        return BOOK_NONE;
    struct book_level *level = &memory->levels[level_slot];
    if (level->total_lots > INT64_MAX - order->remaining_lots)
        return BOOK_NONE;
    if (level->orders++ == 0)
        level_open(memory, side, index, level_slot, order->price_ticks);
    level->total_lots += order->remaining_lots;
    uint32_t slot = order_take(memory);
    struct book_order *resting = &memory->orders[slot];
    /* One by one: a wide copy of what the caller has just stored in pieces would wait for memory. */
    resting->order_id = order->order_id;
    resting->user_id = order->user_id;
    resting->price_ticks = order->price_ticks;
    resting->remaining_lots = order->remaining_lots;
    resting->filled_lots = order->filled_lots;
    resting->level = level_slot;
    resting->market = order->market;
    resting->side = order->side;
    resting->flags = order->flags;
    link_last(memory, level, slot);
    index_insert(memory, order->order_id, slot);
    memory->tags[slot] = tag_of(order->user_id, order->market);
    return slot;
}

void book_requeue(struct book_memory *memory, uint32_t slot, int64_t lots)
{
    struct book_order *order = &memory->orders[slot];
    struct book_level *level = &memory->levels[order->level];
    assert(order->remaining_lots == 0 && lots > 0);
    order->remaining_lots = lots;
    level->total_lots += lots;
    if (level->tail == slot)
        return;
    unlink_order(memory, level, slot);
    link_last(memory, level, slot);
}

void book_remove(struct book_memory *memory, struct book *book, uint32_t slot)
{
    struct book_order *order = &memory->orders[slot];
    uint32_t level_slot = order->level;
    struct book_level *level = &memory->levels[level_slot];
    unlink_order(memory, level, slot);
    level->total_lots -= order->remaining_lots;
    index_erase(memory, order->order_id, slot);
    if (--level->orders == 0)
        level_close(memory, &book->sides[order->side], order->side, level_slot);
    order_give(memory, slot);
}

/* ---- Checks ---- */

static uint32_t check_level(const struct book_memory *memory, enum book_side_index side, uint32_t slot)
{
    const struct book_level *level = &memory->levels[slot];
    int64_t lots = 0;
    uint32_t orders = 0, prev = BOOK_NONE;
    for (uint32_t at = level->head; at != BOOK_NONE; at = memory->links[at].next) {
        const struct book_order *order = &memory->orders[at];
        assert(
            memory->links[at].prev == prev && order->level == slot && order->side == side && order->remaining_lots > 0);
        assert(memory->tags[at] == tag_of(order->user_id, order->market));
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
            assert(book_find_page(memory, &book->sides[side], price >> BOOK_PAGE_BITS) == at >> BOOK_PAGE_BITS);
            check_level(memory, side, at);
            previous = price;
            levels++;
        }
        assert(levels == book->sides[side].levels);
        uint32_t best = book->sides[side].best;
        assert(best == BOOK_NONE || book_level_price(memory, best) == book->sides[side].best_ticks);
    }
}
