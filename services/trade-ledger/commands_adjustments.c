/* Manual adjustments by four eyes: one operator proposes, another one decides. */
#include "batch.h"
#include "views.h"

#include <inttypes.h>
#include <string.h>

/* What is proposed must be possible, but for the money, which may still come. */
void propose_decide(struct batch *batch, struct command *command)
{
    struct adjustment *adjustment = arena_alloc(batch->arena, sizeof *adjustment);
    *adjustment = (struct adjustment){
        .id = batch->adjustment_ids[batch->new_adjustment_count],
        .proposed_by = command->user_id,
        .status = ADJUSTMENT_PROPOSED,
        .note = command->journal.note[0] ? command->journal.note : NULL,
        .effective_at_us = command->journal.effective_at_us,
        .leg_count = command->journal.leg_count,
    };
    int64_t reverses = command->journal.reverses;
    if (reverses ? !reversal_propose(batch, reverses, adjustment, &command->error)
                 : !journal_legs(batch, command, adjustment->legs))
        return;
    if (!legs_sum_to_zero(adjustment->legs, adjustment->leg_count)) {
        error_field(&command->error, ERROR_REFUSED, "unbalanced", "legs", "the legs do not sum to zero");
        return;
    }
    batch->new_adjustments[batch->new_adjustment_count++] = adjustment;
    command->status = 201;
    command->reply = view_text(view_adjustment(batch->markets, adjustment), batch->arena);
}

static bool decision_allowed(const struct command *command, const struct adjustment *adjustment, struct error *e)
{
    static const char *const names[] = { "", "proposed", "approved already", "rejected already" };
    if (!adjustment || adjustment->too_new)
        return error_field(e, ERROR_NOT_FOUND, "adjustment-not-found", "adjustment_id", "there is no such adjustment");
    if (adjustment->status != ADJUSTMENT_PROPOSED)
        return error_field(e, ERROR_CONFLICT, "adjustment-not-open", "adjustment_id", "the adjustment is %s",
            names[adjustment->status]);
    return adjustment->proposed_by != command->user_id ||
           error_field(e, ERROR_DENIED, "four-eyes", "adjustment_id", "who has proposed it cannot decide about it");
}

static bool book(struct batch *batch, struct command *command, struct adjustment *adjustment)
{
    struct ledger *ledger = batch->ledger;
    const char *reference = arena_printf(batch->arena, "adjustment:%" PRId64, adjustment->id);
    bool ok =
        adjustment->reverses
            ? reversal_book(batch, adjustment->reverses, adjustment->legs, adjustment->leg_count, &command->error)
            : ledger_post(ledger, JOURNAL_MANUAL, reference, adjustment->legs, adjustment->leg_count, &command->error);
    if (!ok)
        return false;
    ledger_last(ledger)->note = adjustment->note;
    ledger_last(ledger)->effective_at_us = adjustment->effective_at_us;
    adjustment->journal_id = ledger_last(ledger)->id;
    return true;
}

void adjustment_decide(struct batch *batch, struct outbox *outbox, struct command *command)
{
    int64_t id = command->decision.adjustment_id;
    struct adjustment *adjustment = table_find(batch->adjustments, &id, sizeof id);
    if (!decision_allowed(command, adjustment, &command->error))
        return;
    if (command->decision.approve && !book(batch, command, adjustment))
        return;
    if (command->decision.approve)
        publish_journals(batch, outbox, command, batch->ledger->journal_count - 1);
    adjustment->status = command->decision.approve ? ADJUSTMENT_APPROVED : ADJUSTMENT_REJECTED;
    adjustment->decided_by = command->user_id;
    adjustment->reason = command->decision.reason[0] ? command->decision.reason : NULL;
    batch->decisions[batch->decision_count++] = adjustment;
    command->status = 200;
    command->reply = view_text(view_adjustment(batch->markets, adjustment), batch->arena);
}
