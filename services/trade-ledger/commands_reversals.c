/* Journals that were a mistake are undone by new ones, each once: by an operator alone, or by four eyes. */
#include "batch.h"
#include "views.h"

#include <inttypes.h>
#include <string.h>

static bool reversible(enum journal_kind kind)
{
    return kind == JOURNAL_TOPUP || kind == JOURNAL_TRANSFER || kind == JOURNAL_TRANSFER_POST || kind == JOURNAL_MANUAL;
}

static bool reverse_allowed(const struct old_journal *journal, struct error *e)
{
    if (!journal || journal->too_new)
        return error_field(e, ERROR_NOT_FOUND, "journal-not-found", "journal_id", "there is no such journal");
    if (!reversible(journal->kind))
        return error_field(e, ERROR_CONFLICT, "not-reversible", "journal_id",
            "a journal of the kind %s is not reversed: what it belongs to is", journal_kind_name((int)journal->kind));
    return !journal->reversed ||
           error_field(e, ERROR_CONFLICT, "already-reversed", "journal_id", "the journal was reversed before");
}

/* What came goes, and what went comes back, to what is available: what was held is held no more. */
static void reversed_legs(const struct old_journal *old, struct leg legs[LEDGER_LEGS_MAX])
{
    for (size_t i = 0; i < old->leg_count; i++)
        legs[i] = (struct leg){ old->legs[i].account, -(old->legs[i].available_delta + old->legs[i].held_delta), 0 };
}

bool reversal_propose(const struct batch *batch, int64_t journal_id, struct adjustment *adjustment, struct error *e)
{
    const struct old_journal *old = table_find(batch->old_journals, &journal_id, sizeof journal_id);
    if (!reverse_allowed(old, e)) {
        strcpy(e->field, "reverses");
        return false;
    }
    adjustment->reverses = journal_id;
    adjustment->leg_count = old->leg_count;
    reversed_legs(old, adjustment->legs);
    return true;
}

bool reversal_book(struct batch *batch, int64_t journal_id, const struct leg *legs, size_t leg_count, struct error *e)
{
    struct old_journal *old = table_find(batch->old_journals, &journal_id, sizeof journal_id);
    if (!reverse_allowed(old, e) || !ledger_post(batch->ledger, JOURNAL_REVERSAL,
                                        arena_printf(batch->arena, "journal:%" PRId64, journal_id), legs, leg_count, e))
        return false;
    old->reversed = true;
    return true;
}

void reverse_decide(struct batch *batch, struct outbox *outbox, struct command *command)
{
    int64_t id = command->reverse.journal_id;
    const struct old_journal *old = table_find(batch->old_journals, &id, sizeof id);
    struct leg legs[LEDGER_LEGS_MAX];
    struct ledger *ledger = batch->ledger;
    if (!reverse_allowed(old, &command->error))
        return;
    reversed_legs(old, legs);
    if (!reversal_book(batch, id, legs, old->leg_count, &command->error))
        return;
    ledger_last(ledger)->note = command->reverse.note[0] ? command->reverse.note : NULL;
    publish_journals(batch, outbox, command, ledger->journal_count - 1);
    json_t *json = view_journal(batch->markets, ledger, ledger_last(ledger), batch->now_us);
    json_object_set_new(json, "reverses", view_id((uint64_t)id));
    command->status = 201;
    command->reply = view_text(json, batch->arena);
}
