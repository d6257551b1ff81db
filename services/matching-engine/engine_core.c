#include "core.h"

#include <stdlib.h>

enum {
    AHEAD_COMMAND = 48, /* commands: the array itself, past the batch's end if it goes on there */
    AHEAD_GUESSES = 16, /* remembered between two steps, at most this many commands apart */
    DEEP_FROM = 20000,  /* orders: more than stay in the second-level cache */
};

struct engine *engine_new(const struct engine_options *options)
{
    assert(options->markets_max > 0 && options->markets_max <= ENGINE_MARKETS_MAX);
    CLEANUP(engine_free) struct engine *engine = book_reserve(1, sizeof *engine, BOOK_HUGE_NONE);
    if (!engine)
        return NULL;
    uint32_t pages_max = options->pages_max;
    if (pages_max == 0)
        pages_max = options->orders_max < 1u << 20 ? options->orders_max : 1u << 20;
    engine->drain = options->drain;
    engine->context = options->context;
    engine->level3 = options->level3;
    engine->markets_max = options->markets_max;
    engine->buffer_size = options->buffer_size < ENGINE_BUFFER_MIN ? ENGINE_BUFFER_MIN : options->buffer_size;
    engine->killed_max = options->killed_max == 0 ? KILLED_MAX_DEFAULT : options->killed_max;
    engine->killed_mask = 1;
    while (engine->killed_mask / 2 < engine->killed_max)
        engine->killed_mask = 2 * engine->killed_mask + 1;
    engine->buffer = malloc(engine->buffer_size);
    engine->markets = book_reserve(options->markets_max, sizeof *engine->markets, BOOK_HUGE_NONE);
    engine->killed = book_reserve((size_t)engine->killed_mask + 1, sizeof *engine->killed, BOOK_HUGE_NONE);
    enum book_huge_pages huge = !options->huge_pages   ? BOOK_HUGE_NONE
                                : options->small_start ? BOOK_HUGE_LATER
                                                       : BOOK_HUGE_ALL;
    engine->memory = book_memory_new(options->orders_max, pages_max, 2u * options->markets_max, huge);
    if (!engine->buffer || !engine->markets || !engine->killed || !engine->memory)
        return NULL;
    return TAKE(engine);
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    book_give_back(engine->markets, engine->markets_max, sizeof *engine->markets);
    book_give_back(engine->killed, (size_t)engine->killed_mask + 1, sizeof *engine->killed);
    book_memory_free(engine->memory);
    free(engine->buffer);
    book_give_back(engine, 1, sizeof *engine);
}

/* ---- Commands ---- */

static inline void move_clock(struct engine *engine, struct market *market, int64_t now_us)
{
    if (now_us <= market->state.at_us)
        return;
    market->state.at_us = now_us;
    if (__builtin_expect(market->expiries != BOOK_NONE, 0))
        expire(engine, market);
}

/* Is it a command at all? Nothing changes. */
static enum engine_verdict judge(
    const struct engine *engine, const struct market *market, const struct engine_command *command)
{
    switch ((enum engine_command_kind)command->kind) {
    case ENGINE_PLACE:
        return judge_order(engine, market, command);
    case ENGINE_CANCEL:
        if (command->order_id == 0)
            return ENGINE_BAD_ORDER_ID;
        return command->user_id == 0 ? ENGINE_BAD_USER_ID : ENGINE_OK;
    case ENGINE_AMEND:
        return judge_amend(engine, market, command);
    case ENGINE_TICK:
        return ENGINE_OK;
    case ENGINE_CANCEL_ALL:
    case ENGINE_KILL_SWITCH:
        return command->user_id == 0 ? ENGINE_BAD_USER_ID : ENGINE_OK;
    case ENGINE_MASS_QUOTE:
        return command->user_id == 0 ? ENGINE_BAD_USER_ID : judge_quotes(engine, market, command);
    case ENGINE_REFERENCE:
        return command->price_ticks <= 0 ? ENGINE_BAD_PRICE : ENGINE_OK;
    }
    return ENGINE_BAD_COMMAND;
}

static void carry_out(struct engine *engine, struct market *market, const struct engine_command *command)
{
    switch ((enum engine_command_kind)command->kind) {
    case ENGINE_PLACE:
        place_order(engine, market, command, 0);
        break;
    case ENGINE_CANCEL:
        cancel_order(engine, market, command);
        break;
    case ENGINE_AMEND:
        amend_order(engine, market, command);
        break;
    case ENGINE_TICK:
        break;
    case ENGINE_CANCEL_ALL:
        cancel_all(engine, market, command->user_id, ENGINE_CANCELLED_ALL);
        break;
    case ENGINE_KILL_SWITCH:
        if (command->engaged)
            cancel_all(engine, market, command->user_id, ENGINE_KILLED);
        break;
    case ENGINE_MASS_QUOTE:
        mass_quote(engine, market, command);
        break;
    case ENGINE_REFERENCE:
        market->state.reference_price_ticks = command->price_ticks;
        break;
    }
}

static __attribute__((noinline)) enum engine_verdict apply_generally(
    struct engine *engine, struct market *market, const struct engine_command *command)
{
    enum engine_verdict verdict = judge(engine, market, command);
    if (verdict == ENGINE_OK && command->kind == ENGINE_KILL_SWITCH)
        verdict = set_kill_switch(engine, market, command->user_id, command->engaged);
    if (verdict != ENGINE_OK)
        return verdict;
    move_clock(engine, market, command->at_us);
    carry_out(engine, market, command);
    command_end(engine, market);
    return ENGINE_OK;
}

/* What comes by the million first, without a jump through a table that nobody can predict. */
static inline enum engine_verdict apply_one(struct engine *engine, const struct engine_command *command)
{
    if (command->market >= engine->markets_count)
        return ENGINE_BAD_MARKET;
    struct market *market = &engine->markets[command->market];
    if (command->kind == ENGINE_PLACE    ? place_plain(engine, market, command)
        : command->kind == ENGINE_CANCEL ? cancel_plain(engine, market, command)
                                         : command->kind == ENGINE_AMEND && amend_plain(engine, market, command))
        return ENGINE_OK;
    return apply_generally(engine, market, command);
}

enum engine_verdict engine_apply(struct engine *engine, const struct engine_command *command)
{
    return apply_one(engine, command);
}

/* ---- Batches: memory is slow, so what a command will touch is fetched a few commands earlier, in steps, each from
 * what the step before brought in: the index; the order and its level; with a deep book their neighbours. ---- */

/* All without a branch on the kind of command, which is as random as the flow: what has no order, or no price, fetches
 * what lies at 0, which is always near. These are guesses, and only that, until the command's turn.
 *
 * Always inlined: a function that does nothing but fetch counts as one without effect for gcc, which drops its calls.
 */

static inline const struct market *market_of(const struct engine *engine, const struct engine_command *command)
{
    return &engine->markets[command->market < engine->markets_count ? command->market : 0];
}

/* Where a command's order and price seemed to be when they were fetched. */
struct guess {
    uint32_t slot, level;
};

/* The level a price has if its page is in the window. */
static inline uint32_t level_guess(const struct market *market, const struct engine_command *command)
{
    const struct book_side *side = &market->book.sides[command->side == ENGINE_SELL];
    uint32_t page = side->window[(uint64_t)command->price_ticks >> BOOK_PAGE_BITS & (BOOK_WINDOW_PAGES - 1)];
    return page << BOOK_PAGE_BITS | ((uint32_t)command->price_ticks & (BOOK_PAGE_TICKS - 1));
}

ALWAYS_INLINE void fetch_index(const struct engine *engine, const struct engine_command *command)
{
    __builtin_prefetch(&engine->memory->direct[command->order_id & engine->memory->direct_mask], 1);
}

ALWAYS_INLINE void fetch_order(
    const struct engine *engine, const struct engine_command *command, struct guess *ret_guess)
{
    const struct book_memory *memory = engine->memory;
    uint32_t slot = memory->direct[command->order_id & memory->direct_mask];
    uint32_t level = level_guess(market_of(engine, command), command);
    __builtin_prefetch(&memory->orders[slot], 1);
    __builtin_prefetch(&memory->links[slot], 1);
    __builtin_prefetch(&memory->levels[level], 1);
    *ret_guess = (struct guess){ slot, level };
}

ALWAYS_INLINE void fetch_neighbours(const struct engine *engine, const struct guess *guess)
{
    const struct book_memory *memory = engine->memory;
    __builtin_prefetch(&memory->levels[memory->orders[guess->slot].level], 1);
    __builtin_prefetch(&memory->links[memory->links[guess->slot].next], 1);
    __builtin_prefetch(&memory->links[memory->links[guess->slot].prev], 1);
    __builtin_prefetch(&memory->links[memory->levels[guess->level].tail], 1);
}

/* How many commands earlier each step is taken. */
struct ahead {
    size_t index, order, neighbours; /* neighbours 0: not fetched */
};

/* A deep book's memory is far: early, and everything. Of a shallow one most is near, and what is fetched for a command
 * costs more than it saves. */
static const struct ahead deep = { .index = 18, .order = 12, .neighbours = 6 };
static const struct ahead shallow = { .index = 6, .order = 3 };

ALWAYS_INLINE size_t apply_ahead(struct engine *engine, const struct engine_command *commands, size_t count,
    enum engine_verdict *ret_verdicts, const struct ahead *ahead)
{
    struct guess guesses[AHEAD_GUESSES];
    size_t fine = 0;
    assert(ahead->order <= AHEAD_GUESSES && ahead->order - ahead->neighbours < AHEAD_GUESSES);
    for (size_t i = 0; i < ahead->index && i < count; i++)
        fetch_index(engine, &commands[i]);
    for (size_t i = 0; i < ahead->order && i < count; i++)
        fetch_order(engine, &commands[i], &guesses[i]);
    for (size_t i = 0; i < ahead->neighbours && i < count; i++)
        fetch_neighbours(engine, &guesses[i]);
    for (size_t i = 0; i < count; i++) {
        __builtin_prefetch((const char *)commands + (i + AHEAD_COMMAND) * sizeof *commands);
        if (i + ahead->index < count)
            fetch_index(engine, &commands[i + ahead->index]);
        if (i + ahead->order < count)
            fetch_order(engine, &commands[i + ahead->order], &guesses[(i + ahead->order) % AHEAD_GUESSES]);
        if (ahead->neighbours > 0 && i + ahead->neighbours < count)
            fetch_neighbours(engine, &guesses[(i + ahead->neighbours) % AHEAD_GUESSES]);
        enum engine_verdict verdict = apply_one(engine, &commands[i]);
        if (ret_verdicts)
            ret_verdicts[i] = verdict;
        fine += verdict == ENGINE_OK;
    }
    return fine;
}

size_t engine_apply_batch(
    struct engine *engine, const struct engine_command *commands, size_t count, enum engine_verdict *ret_verdicts)
{
    if (engine->memory->orders_live > DEEP_FROM)
        return apply_ahead(engine, commands, count, ret_verdicts, &deep);
    return apply_ahead(engine, commands, count, ret_verdicts, &shallow);
}
