/* Rows ⇄ structs of what is neither order nor ledger: transfers in two phases, reversals, adjustments, changes of
 * accounts. */
#include "sql.h"
#include "store_parts.h"

#include <assert.h>

enum { PROPOSALS_AT_ONCE = 16 };

void store_pending_from_row(const struct pg_result *rows, size_t row, struct arena *arena, struct pending_transfer *ret)
{
    *ret = (struct pending_transfer){
        .id = pg_get_int64(rows, row, 0),
        .from_account_id = pg_get_int64(rows, row, 1),
        .to_account_id = pg_get_int64(rows, row, 2),
        .asset_id = (int32_t)pg_get_int64(rows, row, 3),
        .amount = pg_get_int64(rows, row, 4),
        .posted = pg_get_int64(rows, row, 5),
        .status = (enum pending_status)pg_get_int64(rows, row, 6),
        .created_by = (uint64_t)pg_get_int64(rows, row, 7),
        .note = pg_is_null(rows, row, 8) ? NULL : arena_strdup(arena, pg_get_text(rows, row, 8)),
        .expires_at_us = pg_get_int64(rows, row, 9),
        .created_at_us = pg_get_int64(rows, row, 10),
    };
}

/* What was committed between the statement that locked the accounts and the one that read these rows has accounts that
 * this batch has not locked: to this batch it does not exist yet. */
static bool is_locked(const struct batch *batch, int64_t account_id)
{
    return ledger_account_by_id(batch->ledger, account_id) != NULL;
}

void store_fill_pending(struct batch *batch, const struct pg_result *rows)
{
    for (size_t row = 0; rows && row < pg_rows(rows); row++) {
        struct pending_transfer *pending = arena_alloc(batch->arena, sizeof *pending);
        store_pending_from_row(rows, row, batch->arena, pending);
        if (is_locked(batch, pending->from_account_id) && is_locked(batch, pending->to_account_id))
            *table_slot(batch->pending, &pending->id, sizeof pending->id) = pending;
    }
}

/* Their accounts are loaded already. */
void store_fill_old_journals(struct batch *batch, const struct pg_result *rows)
{
    for (size_t row = 0; rows && row < pg_rows(rows); row++) {
        int64_t id = pg_get_int64(rows, row, 0);
        struct old_journal **slot = (struct old_journal **)table_slot(batch->old_journals, &id, sizeof id);
        if (!*slot) {
            *slot = arena_alloc(batch->arena, sizeof **slot);
            **slot = (struct old_journal){
                .id = id, .kind = (enum journal_kind)pg_get_int64(rows, row, 1), .reversed = pg_get_bool(rows, row, 2)
            };
        }
        struct old_journal *journal = *slot;
        journal->too_new |= !is_locked(batch, pg_get_int64(rows, row, 3));
        assert(journal->leg_count < LEDGER_LEGS_MAX);
        journal->legs[journal->leg_count++] =
            (struct leg){ ledger_account_by_id(batch->ledger, pg_get_int64(rows, row, 3)), pg_get_int64(rows, row, 4),
                pg_get_int64(rows, row, 5) };
    }
}

void store_adjustment_from_row(const struct pg_result *rows, size_t row, struct arena *arena, struct adjustment *ret)
{
    *ret = (struct adjustment){
        .id = pg_get_int64(rows, row, 0),
        .proposed_by = (uint64_t)pg_get_int64(rows, row, 1),
        .status = (enum adjustment_status)pg_get_int64(rows, row, 2),
        .note = pg_is_null(rows, row, 3) ? NULL : arena_strdup(arena, pg_get_text(rows, row, 3)),
        .effective_at_us = pg_get_int64(rows, row, 4),
        .reverses = pg_get_int64(rows, row, 7),
    };
}

/* What an adjustment undoes, unless the batch names it too. */
static void fill_reversed(struct batch *batch, int64_t id, const struct pg_result *rows, size_t row)
{
    struct old_journal **slot = (struct old_journal **)table_slot(batch->old_journals, &id, sizeof id);
    if (*slot)
        return;
    *slot = arena_alloc(batch->arena, sizeof **slot);
    **slot = (struct old_journal){
        .id = id, .kind = (enum journal_kind)pg_get_int64(rows, row, 8), .reversed = pg_get_bool(rows, row, 9)
    };
}

/* A row for each leg. */
void store_fill_adjustments(struct batch *batch, const struct pg_result *rows)
{
    for (size_t row = 0; rows && row < pg_rows(rows); row++) {
        int64_t id = pg_get_int64(rows, row, 0);
        struct adjustment **slot = (struct adjustment **)table_slot(batch->adjustments, &id, sizeof id);
        if (!*slot) {
            *slot = arena_alloc(batch->arena, sizeof **slot);
            store_adjustment_from_row(rows, row, batch->arena, *slot);
            if ((*slot)->reverses)
                fill_reversed(batch, (*slot)->reverses, rows, row);
        }
        struct adjustment *adjustment = *slot;
        adjustment->too_new |= !is_locked(batch, pg_get_int64(rows, row, 5));
        assert(adjustment->leg_count < LEDGER_LEGS_MAX);
        adjustment->legs[adjustment->leg_count++] =
            (struct leg){ ledger_account_by_id(batch->ledger, pg_get_int64(rows, row, 5)), pg_get_int64(rows, row, 6),
                0 };
    }
}

bool store_account_changes(
    struct pg *pg, struct arena *arena, const struct account_change *changes, size_t n, int64_t now_us, struct error *e)
{
    if (n == 0)
        return true;
    pg_arg_int64s(pg, COLUMN(int64_t, n, changes[i].account_id), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, (int64_t)changes[i].changed_by), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, (int32_t)changes[i].status), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, changes[i].overdraft_minor), n);
    pg_arg_texts(pg, COLUMN(const char *, n, changes[i].reason), n);
    pg_arg_int64(pg, now_us);
    return pg_send(pg, &sql_account_changes_insert, NULL, e);
}

static bool save_new_pending(struct pg *pg, const struct batch *batch, struct error *e)
{
    struct arena *arena = batch->arena;
    struct pending_transfer *const *pending = batch->new_pending;
    size_t n = batch->new_pending_count;
    if (n == 0)
        return true;
    pg_arg_int64s(pg, COLUMN(int64_t, n, pending[i]->id), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, pending[i]->from_account_id), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, pending[i]->to_account_id), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, pending[i]->asset_id), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, pending[i]->amount), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, (int64_t)pending[i]->created_by), n);
    pg_arg_texts(pg, COLUMN(const char *, n, pending[i]->note), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, pending[i]->expires_at_us), n);
    pg_arg_int64(pg, batch->now_us);
    return pg_send(pg, &sql_pending_insert, NULL, e);
}

static bool save_pending_steps(struct pg *pg, const struct batch *batch, struct error *e)
{
    struct arena *arena = batch->arena;
    struct pending_transfer *const *pending = batch->pending_steps;
    size_t n = batch->pending_step_count;
    if (n == 0)
        return true;
    pg_arg_int64s(pg, COLUMN(int64_t, n, pending[i]->id), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, (int32_t)pending[i]->status), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, pending[i]->posted), n);
    pg_arg_int64(pg, batch->now_us);
    return pg_send(pg, &sql_pending_save, NULL, e);
}

static bool save_new_adjustment(
    struct pg *pg, const struct batch *batch, const struct adjustment *adjustment, struct error *e)
{
    struct arena *arena = batch->arena;
    size_t n = adjustment->leg_count;
    pg_arg_int64(pg, adjustment->id);
    pg_arg_int64(pg, (int64_t)adjustment->proposed_by);
    pg_arg_int64s(pg, COLUMN(int64_t, n, adjustment->legs[i].account->id), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, adjustment->legs[i].available_delta), n);
    pg_arg_text(pg, adjustment->note);
    pg_arg_int64(pg, adjustment->effective_at_us);
    pg_arg_int64(pg, batch->now_us);
    pg_arg_int64(pg, adjustment->reverses);
    return pg_send(pg, &sql_adjustments_insert, NULL, e);
}

static bool save_decisions(struct pg *pg, const struct batch *batch, struct error *e)
{
    struct arena *arena = batch->arena;
    struct adjustment *const *decided = batch->decisions;
    size_t n = batch->decision_count;
    if (n == 0)
        return true;
    pg_arg_int64s(pg, COLUMN(int64_t, n, decided[i]->id), n);
    pg_arg_int32s(pg, COLUMN(int32_t, n, (int32_t)decided[i]->status), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, (int64_t)decided[i]->decided_by), n);
    pg_arg_texts(pg, COLUMN(const char *, n, decided[i]->reason), n);
    pg_arg_int64s(pg, COLUMN(int64_t, n, decided[i]->journal_id), n);
    pg_arg_int64(pg, batch->now_us);
    return pg_send(pg, &sql_adjustments_save, NULL, e);
}

/* Proposals are few and have arrays of their own: a statement each, and a round trip for as many as a pipeline holds.
 */
static bool save_adjustments(struct pg *pg, const struct batch *batch, struct error *e)
{
    for (size_t i = 0; i < batch->new_adjustment_count; i++) {
        if (!save_new_adjustment(pg, batch, batch->new_adjustments[i], e))
            return false;
        if (i % PROPOSALS_AT_ONCE == PROPOSALS_AT_ONCE - 1 && !pg_wait(pg, e))
            return false;
    }
    return save_decisions(pg, batch, e);
}

bool store_save_money(struct pg *pg, const struct batch *batch, struct error *e)
{
    return store_account_changes(
               pg, batch->arena, batch->account_changes, batch->account_change_count, batch->now_us, e) &&
           save_new_pending(pg, batch, e) && save_pending_steps(pg, batch, e) && save_adjustments(pg, batch, e);
}
