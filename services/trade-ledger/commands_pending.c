/* What becomes of money that was set aside for a transfer, and of journals that were a mistake. */
#include "batch.h"
#include "views.h"

#include <inttypes.h>

static bool no_such_transfer(struct error *e)
{
    return error_field(e, ERROR_NOT_FOUND, "transfer-not-found", "transfer_id", "there is no such transfer");
}

/* Both parties see it. The recipient may give it back, the sender may not: the money was promised, until its time has
 * run out. */
static bool step_allowed(const struct batch *batch, const struct command *command,
    const struct pending_transfer *pending, const struct account *from, const struct account *to, struct error *e)
{
    enum transfer_step step = command->step.step;
    bool sends = from->owner_id == command->user_id, receives = to->owner_id == command->user_id;
    static const char *const names[] = { "", "pending", "posted already", "given back already", "expired" };
    if (!command->by_operator && !sends && !receives)
        return no_such_transfer(e);
    if (step == STEP_VOID && !command->by_operator && !receives)
        return error_field(
            e, ERROR_DENIED, "denied", "transfer_id", "only the recipient can give it back before its time");
    if (pending->status != PENDING_OPEN)
        return error_field(
            e, ERROR_CONFLICT, "transfer-not-pending", "transfer_id", "the transfer is %s", names[pending->status]);
    if (step == STEP_POST && pending->expires_at_us <= batch->now_us)
        return error_field(e, ERROR_CONFLICT, "transfer-not-pending", "transfer_id", "the transfer's time has run out");
    return true;
}

static bool step_amount(
    const struct command *command, const struct pending_transfer *pending, int64_t *ret_minor, struct error *e)
{
    *ret_minor = pending->amount;
    if (command->step.step != STEP_POST || command->step.amount[0] == '\0')
        return true;
    if (!amount_parse(command->step.amount, command->asset, "invalid-amount", "amount", ret_minor, e))
        return false;
    return *ret_minor <= pending->amount ||
           error_field(e, ERROR_REFUSED, "invalid-amount", "amount", "amount is more than was set aside");
}

static bool step_book(struct batch *batch, struct command *command, struct pending_transfer *pending,
    struct account *from, struct account *to)
{
    bool post = command->step.step == STEP_POST;
    int64_t amount;
    if (!step_amount(command, pending, &amount, &command->error))
        return false;
    const char *reference = arena_printf(batch->arena, "transfer:%" PRId64, pending->id);
    struct leg legs[] = { { from, post ? pending->amount - amount : pending->amount, -pending->amount },
        { to, amount, 0 } };
    if (!ledger_post(batch->ledger, post ? JOURNAL_TRANSFER_POST : JOURNAL_TRANSFER_VOID, reference, legs, post ? 2 : 1,
            &command->error))
        return false;
    pending->posted = post ? amount : 0;
    pending->status = post ? PENDING_POSTED : command->step.step == STEP_VOID ? PENDING_VOIDED : PENDING_EXPIRED;
    batch->pending_steps[batch->pending_step_count++] = pending;
    return true;
}

void transfer_step_decide(struct batch *batch, struct outbox *outbox, struct command *command)
{
    int64_t id = command->step.transfer_id;
    struct pending_transfer *pending = table_find(batch->pending, &id, sizeof id);
    if (!pending) {
        no_such_transfer(&command->error);
        return;
    }
    struct account *from = ledger_account_by_id(batch->ledger, pending->from_account_id),
                   *to = ledger_account_by_id(batch->ledger, pending->to_account_id);
    command->asset = asset_by_id(batch->markets, pending->asset_id);
    if (!step_allowed(batch, command, pending, from, to, &command->error) ||
        !step_book(batch, command, pending, from, to))
        return;
    publish_journals(batch, outbox, command, batch->ledger->journal_count - 1);
    bool own = command->user_id == from->owner_id || command->by_operator;
    command->status = 200;
    command->reply =
        view_text(view_pending(pending, command->asset, from->owner_id, to->owner_id, own ? from : NULL), batch->arena);
}

/* ---- Reversal ---- */

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
void reverse_decide(struct batch *batch, struct outbox *outbox, struct command *command)
{
    int64_t id = command->reverse.journal_id;
    struct old_journal *old = table_find(batch->old_journals, &id, sizeof id);
    struct leg legs[LEDGER_LEGS_MAX];
    struct ledger *ledger = batch->ledger;
    if (!reverse_allowed(old, &command->error))
        return;
    for (size_t i = 0; i < old->leg_count; i++)
        legs[i] = (struct leg){ old->legs[i].account, -(old->legs[i].available_delta + old->legs[i].held_delta), 0 };
    if (!ledger_post(ledger, JOURNAL_REVERSAL, arena_printf(batch->arena, "journal:%" PRId64, id), legs, old->leg_count,
            &command->error))
        return;
    old->reversed = true;
    ledger_last(ledger)->note = command->reverse.note[0] ? command->reverse.note : NULL;
    publish_journals(batch, outbox, command, ledger->journal_count - 1);
    json_t *json = view_journal(batch->markets, ledger, ledger_last(ledger), batch->now_us);
    json_object_set_new(json, "reverses", view_id((uint64_t)id));
    command->status = 201;
    command->reply = view_text(json, batch->arena);
}
