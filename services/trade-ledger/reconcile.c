#include "reconcile.h"

#include "table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Entries with the same key: a list through `next`, in the order of the account. */
struct index {
    struct arena *arena;
    struct table *heads;
};

struct listed {
    size_t own;
    struct listed *next, *last; /* last: of the head only */
};

static void index_add(struct index *index, const void *key, size_t key_len, size_t own)
{
    struct listed *added = arena_alloc(index->arena, sizeof *added);
    *added = (struct listed){ .own = own };
    void **slot = table_slot(index->heads, key, key_len);
    struct listed *head = *slot;
    if (!head) {
        added->last = added;
        *slot = added;
        return;
    }
    head->last->next = added;
    head->last = added;
}

static const struct listed *index_find(const struct index *index, const void *key, size_t key_len)
{
    return table_find(index->heads, key, key_len);
}

static void take(struct reconciliation *result, size_t line, size_t own, enum reconciled state)
{
    result->lines[line].state = state;
    result->lines[line].own = own;
    result->own_taken[own] = true;
}

/* Two rounds, so that a line with another amount does not take the entry of one with the same. */
static void by_reference(struct reconciliation *result, const struct index *index, const struct external_line *lines,
    size_t line_count, const struct own_line *own, bool same_amount)
{
    for (size_t i = 0; i < line_count; i++) {
        if (!*lines[i].reference || result->lines[i].state != RECONCILED_NOT)
            continue;
        const struct listed *at = index_find(index, lines[i].reference, strlen(lines[i].reference));
        for (; at && result->lines[i].state == RECONCILED_NOT; at = at->next) {
            if (!result->own_taken[at->own] && (!same_amount || own[at->own].amount == lines[i].amount))
                take(result, i, at->own, same_amount ? RECONCILED_MATCHED : RECONCILED_AMOUNT_DIFFERS);
        }
    }
}

static void by_amount(struct reconciliation *result, const struct index *index, const struct external_line *lines,
    size_t line_count, const struct own_line *own, int32_t days_apart)
{
    for (size_t i = 0; i < line_count; i++) {
        if (result->lines[i].state != RECONCILED_NOT)
            continue;
        const struct listed *at = index_find(index, &lines[i].amount, sizeof lines[i].amount);
        for (; at && result->lines[i].state == RECONCILED_NOT; at = at->next) {
            if (!result->own_taken[at->own] && abs(own[at->own].day - lines[i].day) == days_apart)
                take(result, i, at->own, RECONCILED_MATCHED);
        }
    }
}

struct reconciliation reconcile(struct arena *arena, const struct external_line *lines, size_t line_count,
    const struct own_line *own, size_t own_count, int32_t days_apart_max)
{
    struct index references = { arena, table_new(arena) }, amounts = { arena, table_new(arena) };
    struct reconciliation result = {
        .lines = arena_alloc(arena, (line_count + 1) * sizeof *result.lines),
        .own_taken = arena_alloc(arena, (own_count + 1) * sizeof *result.own_taken),
    };
    memset(result.lines, 0, (line_count + 1) * sizeof *result.lines);
    memset(result.own_taken, 0, (own_count + 1) * sizeof *result.own_taken);
    for (size_t i = 0; i < own_count; i++) {
        if (*own[i].reference)
            index_add(&references, own[i].reference, strlen(own[i].reference), i);
        if (*own[i].note && strcmp(own[i].note, own[i].reference) != 0)
            index_add(&references, own[i].note, strlen(own[i].note), i);
        index_add(&amounts, &own[i].amount, sizeof own[i].amount, i);
    }
    by_reference(&result, &references, lines, line_count, own, true);
    by_reference(&result, &references, lines, line_count, own, false);
    for (int32_t apart = 0; apart <= days_apart_max; apart++)
        by_amount(&result, &amounts, lines, line_count, own, apart);
    return result;
}
