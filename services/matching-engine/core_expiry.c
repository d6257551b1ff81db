/* GTD orders by the end of their life: a pairing heap that is linked through the orders' side table, so it needs no
 * memory of its own and gives up an order from anywhere. Equal times leave by order id: what expires first never
 * depends on how the heap came about. */
#include "core.h"

static bool is_before(const struct book_memory *memory, uint32_t a, uint32_t b)
{
    int64_t ends_a = memory->more[a].expires_at_us, ends_b = memory->more[b].expires_at_us;
    return ends_a != ends_b ? ends_a < ends_b : memory->orders[a].order_id < memory->orders[b].order_id;
}

/* Two roots into one; either may be none. */
static uint32_t meld(struct book_memory *memory, uint32_t a, uint32_t b)
{
    if (a == BOOK_NONE || b == BOOK_NONE)
        return a != BOOK_NONE ? a : b;
    uint32_t root = is_before(memory, a, b) ? a : b;
    uint32_t child = root == a ? b : a;
    uint32_t sibling = memory->more[root].child;
    memory->more[child].right = sibling;
    memory->more[child].left = root;
    if (sibling != BOOK_NONE)
        memory->more[sibling].left = child;
    memory->more[root].child = child;
    memory->more[root].left = memory->more[root].right = BOOK_NONE;
    return root;
}

/* A list of siblings into one heap: in pairs from left to right, then the pairs from right to left. */
static uint32_t meld_siblings(struct book_memory *memory, uint32_t first)
{
    uint32_t pairs = BOOK_NONE, root = BOOK_NONE;
    while (first != BOOK_NONE) {
        uint32_t a = first, b = memory->more[a].right;
        first = b != BOOK_NONE ? memory->more[b].right : BOOK_NONE;
        uint32_t pair = meld(memory, a, b);
        memory->more[pair].left = BOOK_NONE;
        memory->more[pair].right = pairs;
        pairs = pair;
    }
    while (pairs != BOOK_NONE) {
        uint32_t next = memory->more[pairs].right;
        root = meld(memory, root, pairs);
        pairs = next;
    }
    if (root != BOOK_NONE)
        memory->more[root].left = memory->more[root].right = BOOK_NONE;
    return root;
}

void expiry_add(struct book_memory *memory, struct market *market, uint32_t slot)
{
    struct book_more *more = &memory->more[slot];
    more->child = more->left = more->right = BOOK_NONE;
    market->expiries = meld(memory, market->expiries, slot);
}

void expiry_remove(struct book_memory *memory, struct market *market, uint32_t slot)
{
    struct book_more *more = &memory->more[slot];
    uint32_t below = meld_siblings(memory, more->child);
    if (market->expiries == slot) {
        market->expiries = below;
        return;
    }
    struct book_more *left = &memory->more[more->left];
    if (left->child == slot)
        left->child = more->right;
    else
        left->right = more->right;
    if (more->right != BOOK_NONE)
        memory->more[more->right].left = more->left;
    market->expiries = meld(memory, market->expiries, below);
}

void expire(struct engine *engine, struct market *market)
{
    struct book_memory *memory = engine->memory;
    while (market->expiries != BOOK_NONE && memory->more[market->expiries].expires_at_us <= market->state.at_us) {
        expect_repeated_levels(engine);
        close_resting(engine, market, market->expiries, ENGINE_EXPIRED, ENGINE_REASON_EXPIRED);
    }
}
