/* Money coming in: the user's account and the funding account, which stands for the world outside, move together. */
#include "batch.h"
#include "events.h"
#include "views.h"

#include <assert.h>
#include <inttypes.h>

void top_up_decide(struct batch *batch, struct outbox *outbox, struct command *command)
{
    struct ledger *ledger = batch->ledger;
    int32_t asset_id = command->asset->id;
    struct leg legs[] = {
        { ledger_account(ledger, 0, ACCOUNT_FUNDING, asset_id), -command->amount_minor, 0 },
        { ledger_account(ledger, command->user_id, ACCOUNT_USER, asset_id), command->amount_minor, 0 },
    };
    assert(legs[0].account && legs[1].account); /* made by the load */
    struct topup topup = {
        .id = batch->topup_ids[batch->new_topup_count],
        .user_id = command->user_id,
        .asset_id = asset_id,
        .amount = command->amount_minor,
        .reference = command->topup.reference[0] ? command->topup.reference : NULL,
    };
    const char *reference = arena_printf(batch->arena, "topup:%" PRId64, topup.id);
    if (!ledger_post(ledger, JOURNAL_TOPUP, reference, legs, ARRAY_LEN(legs), &command->error))
        return;
    batch->new_topups[batch->new_topup_count++] = topup;
    event_topup_booked(outbox, command, &topup, legs[1].account->available, batch->now_us);
    event_entries_posted(outbox, batch->markets, ledger, &ledger->journals[ledger->journal_count - 1], batch->now_us,
        command->traceparent);
    command->status = 201;
    command->reply = view_text(view_topup(&topup, command->asset, legs[1].account, batch->now_us), batch->arena);
}
