/* Transfers, journals and accounts before the load: what can be said of a command alone, and what it needs to see. */
#include "batch.h"

#include "../chassis/decimal.h"

#include <string.h>

static bool note_check(const char *note, struct error *e)
{
    return (strlen(note) <= NOTE_MAX && input_is_clean(note)) ||
           error_field(e, ERROR_REFUSED, "invalid-reference", "reference",
               "reference must be at most %d bytes without control characters", NOTE_MAX);
}

static bool find_asset(const struct markets *markets, const char *currency, const struct asset **ret, struct error *e)
{
    *ret = asset_by_code(markets, currency);
    return *ret || error_field(e, ERROR_REFUSED, "unknown-currency", "currency", "there is no such currency");
}

static bool prepare_transfer(struct command *command, const struct markets *markets, struct error *e)
{
    const struct transfer_request *transfer = &command->transfer;
    if (command->unread.kind != ERROR_NONE) {
        *e = command->unread;
        return false;
    }
    return note_check(transfer->note, e) && find_asset(markets, transfer->currency, &command->asset, e) &&
           amount_parse(transfer->amount, command->asset, "invalid-amount", "amount", &command->amount_minor, e);
}

static bool prepare_leg(struct leg_request *leg, const struct markets *markets, struct error *e)
{
    if (!find_asset(markets, leg->currency, &leg->asset, e))
        return false;
    const char *digits = leg->amount[0] == '-' ? leg->amount + 1 : leg->amount;
    if (!amount_parse(digits, leg->asset, "invalid-amount", "amount", &leg->amount_minor, e))
        return false;
    if (digits != leg->amount)
        leg->amount_minor = -leg->amount_minor;
    return true;
}

static bool prepare_journal(struct command *command, const struct markets *markets, struct error *e)
{
    struct journal_request *journal = &command->journal;
    if (command->unread.kind != ERROR_NONE) {
        *e = command->unread;
        return false;
    }
    if (!note_check(journal->note, e))
        return false;
    for (size_t i = 0; i < journal->leg_count; i++)
        if (!prepare_leg(&journal->legs[i], markets, e))
            return error_in_part(e, "legs", i);
    return true;
}

static bool prepare_account_change(const struct account_change_request *change, struct error *e)
{
    if (change->status == 0 && change->overdraft[0] == '\0')
        return error_field(e, ERROR_INVALID, "missing-field", "status", "a new status or a new overdraft is needed");
    return (change->reason[0] && strlen(change->reason) <= NOTE_MAX && input_is_clean(change->reason)) ||
           error_field(e, ERROR_REFUSED, "invalid-reason", "reason",
               "reason must be 1 to %d bytes without control characters", NOTE_MAX);
}

/* By its legs. */
static bool is_journal(const struct command *command)
{
    return command->kind == COMMAND_JOURNAL || command->kind == COMMAND_PROPOSE;
}

bool money_prepare(struct command *command, const struct markets *markets, struct error *e)
{
    if (command->kind == COMMAND_TRANSFER)
        return prepare_transfer(command, markets, e);
    if (command->kind == COMMAND_DECIDE_ADJUSTMENT)
        return note_check(command->decision.reason, e);
    if (is_journal(command))
        return prepare_journal(command, markets, e);
    if (command->kind == COMMAND_REVERSE)
        return note_check(command->reverse.note, e);
    return prepare_account_change(&command->account_change, e);
}

bool money_names_unknown(const struct markets *markets, const struct command *command)
{
    if (command->unread.kind != ERROR_NONE)
        return false;
    if (command->kind == COMMAND_TRANSFER)
        return !asset_by_code(markets, command->transfer.currency);
    for (size_t i = 0; is_journal(command) && i < command->journal.leg_count; i++)
        if (!asset_by_code(markets, command->journal.legs[i].currency))
            return true;
    return false;
}

size_t money_accounts_max(const struct command *command)
{
    return is_journal(command) ? command->journal.leg_count : 0;
}

static void want_by_key(struct wants *wants, const struct account_ref *name, const struct asset *asset)
{
    bool user = name->kind == ACCOUNT_USER;
    if (name->id == 0)
        want_account(wants, name->owner_id, (enum account_kind)name->kind, asset->id, user);
}

static void want_by_id(struct wants *wants, const struct account_ref *name)
{
    if (name->id != 0)
        wants->account_ids[wants->account_id_count++] = name->id;
}

void money_want_created(struct wants *wants, const struct command *command)
{
    if (command->kind == COMMAND_TRANSFER)
        want_by_key(wants, &command->transfer.to, command->asset);
    for (size_t i = 0; is_journal(command) && i < command->journal.leg_count; i++)
        want_by_key(wants, &command->journal.legs[i].account, command->journal.legs[i].asset);
}

void money_want(struct wants *wants, const struct command *command)
{
    if (command->kind == COMMAND_TRANSFER) {
        want_by_key(wants, &command->transfer.from, command->asset);
        want_by_id(wants, &command->transfer.from);
        want_by_id(wants, &command->transfer.to);
        wants->journals++;
        wants->entries += 2;
    } else if (is_journal(command)) {
        for (size_t i = 0; i < command->journal.leg_count; i++)
            want_by_id(wants, &command->journal.legs[i].account);
        if (command->journal.reverses)
            wants->reversed_ids[wants->reversed_count++] = command->journal.reverses;
        wants->adjustments += command->kind == COMMAND_PROPOSE;
        wants->journals++;
        wants->entries += command->journal.leg_count;
    } else if (command->kind == COMMAND_ACCOUNT_CHANGE) {
        wants->account_ids[wants->account_id_count++] = command->account_change.account_id;
    } else if (command->kind == COMMAND_TRANSFER_STEP) {
        wants->pending_ids[wants->pending_count++] = command->step.transfer_id;
        wants->journals++;
        wants->entries += 2;
    } else if (command->kind == COMMAND_DECIDE_ADJUSTMENT) {
        wants->adjustment_ids[wants->adjustment_count++] = command->decision.adjustment_id;
        wants->journals++;
        wants->entries += LEDGER_LEGS_MAX;
    } else if (command->kind == COMMAND_REVERSE) {
        wants->reversed_ids[wants->reversed_count++] = command->reverse.journal_id;
        wants->journals++;
        wants->entries += LEDGER_LEGS_MAX;
    }
}
