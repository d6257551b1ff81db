/* Terms of accounts: what operators make of them, and what the ledger does itself. */
#include "events.h"
#include "store.h"
#include "views.h"

#include <string.h>

static bool new_overdraft(
    const struct batch *batch, const struct account *account, const char *text, int64_t *ret_minor, struct error *e)
{
    const struct asset *asset = asset_by_id(batch->markets, account->asset_id);
    if (account->kind != ACCOUNT_USER)
        return error_field(e, ERROR_REFUSED, "invalid-overdraft", "overdraft", "only users' accounts have a limit");
    if (strcmp(text, "0") == 0)
        *ret_minor = 0;
    else if (!amount_parse(text, asset, "invalid-overdraft", "overdraft", ret_minor, e))
        return false;
    return account->available >= -*ret_minor ||
           error_field(e, ERROR_CONFLICT, "overdraft-in-use", "overdraft", "the account is further below zero");
}

void account_change_decide(struct batch *batch, struct outbox *outbox, struct command *command)
{
    const struct account_change_request *asked = &command->account_change;
    struct account *account = ledger_account_by_id(batch->ledger, asked->account_id);
    struct error *e = &command->error;
    if (!account) {
        error_field(e, ERROR_NOT_FOUND, "account-not-found", "account_id", "there is no such account");
        return;
    }
    int64_t overdraft = account->overdraft_minor;
    if (asked->overdraft[0] && !new_overdraft(batch, account, asked->overdraft, &overdraft, e))
        return;
    if (asked->status == ACCOUNT_CLOSED && (account->available != 0 || account->held != 0)) {
        error_field(e, ERROR_CONFLICT, "account-not-empty", "status", "only an empty account can be closed");
        return;
    }
    account->overdraft_minor = overdraft;
    if (asked->status != 0)
        account->status = (enum account_status)asked->status;
    account->terms_changed = true;
    struct account_change *change = &batch->account_changes[batch->account_change_count++];
    *change = (struct account_change){
        .account_id = account->id,
        .changed_by = command->user_id,
        .status = account->status,
        .overdraft_minor = overdraft,
        .reason = asked->reason,
    };
    event_account_changed(outbox, batch->markets, account, change, batch->now_us, command->traceparent);
    command->status = 200;
    command->reply = view_text(view_account(account, asset_by_id(batch->markets, account->asset_id)), batch->arena);
}

bool accounts_woken(struct pg *pg, struct outbox *outbox, const struct markets *markets, const struct ledger *ledger,
    int64_t now_us, struct error *e)
{
    struct account_change *changes = NULL;
    size_t count = 0;
    for (size_t i = 0; i < ledger->account_count; i++) {
        const struct account *account = ledger->accounts[i];
        if (!account->woken)
            continue;
        if (!changes)
            changes = arena_alloc(ledger->arena, ledger->account_count * sizeof *changes);
        changes[count] = (struct account_change){ .account_id = account->id,
            .status = account->status,
            .overdraft_minor = account->overdraft_minor,
            .reason = "money came in after it was closed" };
        event_account_changed(outbox, markets, account, &changes[count++], now_us, NULL);
    }
    return store_account_changes(pg, ledger->arena, changes, count, now_us, e);
}
