/* Orders that leave without a trade: cancelled one by one, by user, by quote set, by a kill switch. */
#include "core.h"

#include <string.h>

/* ---- Quote sets: lists through the orders' side table, by hash of user, market and set ---- */

static uint32_t *quote_list(struct engine *engine, uint64_t user_id, uint16_t market, uint16_t quote_set)
{
    uint64_t key = user_id * 0x9e3779b97f4a7c15u ^ ((uint64_t)market << 16 | quote_set);
    return &engine->quote_lists[key * 0xff51afd7ed558ccdu >> 32 & (QUOTE_LISTS - 1)];
}

static uint32_t *quote_list_of(struct engine *engine, uint32_t slot)
{
    const struct book_order *order = &engine->memory->orders[slot];
    return quote_list(engine, order->user_id, order->market, engine->memory->more[slot].quote_set);
}

void quote_link(struct engine *engine, uint32_t slot)
{
    struct book_more *more = &engine->memory->more[slot];
    uint32_t *first = quote_list_of(engine, slot);
    more->quote_prev = BOOK_NONE;
    more->quote_next = *first;
    if (*first != BOOK_NONE)
        engine->memory->more[*first].quote_prev = slot;
    *first = slot;
}

static void quote_unlink(struct engine *engine, uint32_t slot)
{
    const struct book_more *more = &engine->memory->more[slot];
    if (more->quote_prev != BOOK_NONE)
        engine->memory->more[more->quote_prev].quote_next = more->quote_next;
    else
        *quote_list_of(engine, slot) = more->quote_next;
    if (more->quote_next != BOOK_NONE)
        engine->memory->more[more->quote_next].quote_prev = more->quote_prev;
}

/* ---- Leaving ---- */

void leave(struct engine *engine, struct market *market, uint32_t slot)
{
    const struct book_order *order = &engine->memory->orders[slot];
    if (__builtin_expect(order->flags & BOOK_HAS_MORE, 0)) {
        const struct book_more *more = &engine->memory->more[slot];
        if (more->expires_at_us != 0)
            expiry_remove(engine->memory, market, slot);
        if (more->quote_set != 0)
            quote_unlink(engine, slot);
        if (order->flags & BOOK_WAITS)
            market->waiting--;
    }
    book_remove(engine->memory, book_of(market, order), slot);
}

void close_resting(
    struct engine *engine, struct market *market, uint32_t slot, enum engine_status status, enum engine_reason reason)
{
    const struct book_order *order = &engine->memory->orders[slot];
    const struct book_level *level = &engine->memory->levels[order->level];
    bool in_book = !(order->flags & BOOK_WAITS);
    enum book_side_index side = trading_side(order);
    int64_t price_ticks = limit_of(engine->memory, slot);
    int64_t remaining_lots = order->remaining_lots + hidden_lots(engine->memory, slot);
    struct engine_closed *out = record_begin(engine, market, ENGINE_RECORD_CLOSED, sizeof *out, side_name(side), 1);
    memset(&out->status, 0, sizeof *out - offsetof(struct engine_closed, status));
    out->order_id = order->order_id;
    out->user_id = order->user_id;
    out->price_ticks = price_ticks;
    out->filled_lots = order->filled_lots;
    out->remaining_lots = remaining_lots;
    out->released_minor = hold_of(&market->state.config, side, price_ticks, remaining_lots);
    out->status = (uint8_t)status;
    out->reason = (uint8_t)reason;
    out->in_book = in_book;
    record_counted(engine, market, 1, in_book);
    leave(engine, market, slot);
    if (in_book)
        note_level(engine, market, side, price_ticks, level);
}

void reject_cancel(struct engine *engine, struct market *market, const struct engine_command *command, bool known)
{
    struct engine_cancel_rejected *out = record_begin(engine, market, ENGINE_RECORD_CANCEL_REJECTED, sizeof *out, 0, 1);
    memset(&out->known, 0, sizeof *out - offsetof(struct engine_cancel_rejected, known));
    out->order_id = command->order_id;
    out->user_id = command->user_id;
    out->known = known;
}

void cancel_order(struct engine *engine, struct market *market, const struct engine_command *command)
{
    uint32_t slot = book_find(engine->memory, command->order_id);
    const struct book_order *order = &engine->memory->orders[slot];
    bool known = slot != BOOK_NONE && order->market == market->number;
    if (known && order->user_id == command->user_id)
        close_resting(engine, market, slot, ENGINE_CANCELLED, ENGINE_REQUESTED);
    else
        reject_cancel(engine, market, command, known);
}

void cancel_all(struct engine *engine, struct market *market, uint64_t user_id, enum engine_reason reason)
{
    uint32_t count = book_find_user(engine->memory, user_id, market->number);
    expect_repeated_levels(engine);
    for (uint32_t i = 0; i < count; i++)
        close_resting(engine, market, engine->memory->found[i], ENGINE_CANCELLED, reason);
}

/* ---- Kill switches: a set of (user, market), linear probing ---- */

static uint32_t killed_home(const struct engine *engine, uint64_t user_id, uint16_t market)
{
    return (uint32_t)((user_id ^ (uint64_t)market << 48) * 0x9e3779b97f4a7c15u >> 32) & engine->killed_mask;
}

static uint32_t killed_place(const struct engine *engine, uint64_t user_id, uint16_t market)
{
    uint32_t at = killed_home(engine, user_id, market);
    while (engine->killed[at].user_id != 0 &&
           (engine->killed[at].user_id != user_id || engine->killed[at].market != market))
        at = (at + 1) & engine->killed_mask;
    return at;
}

bool is_killed(const struct engine *engine, const struct market *market, uint64_t user_id)
{
    return market->killed > 0 && engine->killed[killed_place(engine, user_id, market->number)].user_id != 0;
}

static void killed_erase(struct engine *engine, uint32_t hole)
{
    uint32_t mask = engine->killed_mask;
    for (uint32_t at = (hole + 1) & mask; engine->killed[at].user_id != 0; at = (at + 1) & mask) {
        uint32_t home = killed_home(engine, engine->killed[at].user_id, engine->killed[at].market);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            engine->killed[hole] = engine->killed[at];
            hole = at;
        }
    }
    engine->killed[hole].user_id = 0;
}

enum engine_verdict set_kill_switch(struct engine *engine, struct market *market, uint64_t user_id, bool engaged)
{
    uint32_t at = killed_place(engine, user_id, market->number);
    if ((engine->killed[at].user_id != 0) == engaged)
        return ENGINE_OK;
    if (engaged && engine->killed_count == engine->killed_max)
        return ENGINE_TOO_MANY_KILLED;
    if (engaged)
        engine->killed[at] = (struct killed){ user_id, market->number };
    else
        killed_erase(engine, at);
    engine->killed_count += engaged ? 1u : -1u;
    market->killed += engaged ? 1u : -1u;
    market_look(market);
    return ENGINE_OK;
}

/* ---- Mass quotes ---- */

enum engine_verdict judge_quotes(
    const struct engine *engine, const struct market *market, const struct engine_command *command)
{
    const struct engine_quotes *quotes = command->quotes;
    if (!quotes || quotes->quote_set == 0 || quotes->count > ENGINE_QUOTES_MAX)
        return ENGINE_BAD_QUOTES;
    for (uint32_t i = 0; i < quotes->count; i++) {
        const struct engine_command *order = &quotes->orders[i];
        if (order->user_id != command->user_id || order->type != ENGINE_LIMIT || order->time_in_force != ENGINE_GTC)
            return ENGINE_BAD_QUOTES;
        enum engine_verdict verdict = judge_order(engine, market, order);
        if (verdict != ENGINE_OK)
            return verdict;
        for (uint32_t j = 0; j < i; j++)
            if (quotes->orders[j].order_id == order->order_id)
                return ENGINE_DUPLICATE_ORDER;
    }
    return ENGINE_OK;
}

void mass_quote(struct engine *engine, struct market *market, const struct engine_command *command)
{
    const struct engine_quotes *quotes = command->quotes;
    struct book_memory *memory = engine->memory;
    uint32_t count = 0;
    uint32_t at = *quote_list(engine, command->user_id, market->number, quotes->quote_set);
    for (; at != BOOK_NONE; at = memory->more[at].quote_next) {
        const struct book_order *order = &memory->orders[at];
        if (order->user_id == command->user_id && order->market == market->number &&
            memory->more[at].quote_set == quotes->quote_set)
            memory->found[count++] = at;
    }
    book_sort_by_id(memory, memory->found, count);
    expect_repeated_levels(engine);
    for (uint32_t i = 0; i < count; i++)
        close_resting(engine, market, memory->found[i], ENGINE_CANCELLED, ENGINE_QUOTE_REPLACED);
    for (uint32_t i = 0; i < quotes->count; i++)
        place_order(engine, market, &quotes->orders[i], quotes->quote_set);
}
