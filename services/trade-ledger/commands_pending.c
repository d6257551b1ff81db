/* What becomes of money that was set aside for a transfer. */
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
