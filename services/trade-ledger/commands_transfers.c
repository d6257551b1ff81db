/* Transfers and operators' journals: one decision each, against the balances as the batch has left them so far. */
#include "batch.h"
#include "events.h"
#include "views.h"

#include "../chassis/decimal.h"
#include "../chassis/http.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct account *account_of(const struct batch *batch, const struct account_ref *name, int32_t asset_id)
{
    return name->id != 0 ? ledger_account_by_id(batch->ledger, name->id)
                         : ledger_account(batch->ledger, name->owner_id, (enum account_kind)name->kind, asset_id);
}

static bool no_such_account(struct error *e, const char *field)
{
    return error_field(e, ERROR_NOT_FOUND, "account-not-found", field, "there is no such account");
}

/* The account that money is to go to. */
static bool find_recipient(
    const struct batch *batch, const struct command *command, struct account **ret, struct error *e)
{
    const struct account_ref *name = &command->transfer.to;
    *ret = account_of(batch, name, command->asset->id);
    if (!*ret && name->id == 0)
        return error_field(e, ERROR_REFUSED, "unknown-recipient", "to_user_id", "there is no such user");
    if (!*ret || ((*ret)->kind != ACCOUNT_USER && !command->by_operator))
        return no_such_account(e, "to_account_id");
    return (*ret)->asset_id == command->asset->id || error_field(e, ERROR_REFUSED, "asset-mismatch", "to_account_id",
                                                         "the account is not in %s", command->asset->code);
}

/* The account that money is to come from: one's own, or any for an operator. NULL without an error: the user has none
 * in this asset. */
static bool find_sender(const struct batch *batch, const struct command *command, struct account **ret, struct error *e)
{
    const struct account_ref *name = &command->transfer.from;
    *ret = account_of(batch, name, command->asset->id);
    if (name->id == 0)
        return true;
    bool own = *ret && (*ret)->owner_id == command->user_id;
    if (!*ret || (!own && !command->by_operator))
        return no_such_account(e, "from_account_id");
    if (!own && batch->settings->manual_journals == MANUAL_JOURNALS_CHECKED)
        return error_field(
            e, ERROR_DENIED, "approval-needed", "from_account_id", "another operator has to approve: propose it");
    return (*ret)->asset_id == command->asset->id || error_field(e, ERROR_REFUSED, "asset-mismatch", "from_account_id",
                                                         "the account is not in %s", command->asset->code);
}

static bool transfer_accounts(
    const struct batch *batch, struct command *command, struct account **ret_from, struct account **ret_to)
{
    struct error *e = &command->error;
    int64_t amount = command->amount_minor;
    if (!find_recipient(batch, command, ret_to, e) || !find_sender(batch, command, ret_from, e))
        return false;
    const struct account *from = *ret_from;
    if (from == *ret_to)
        return error_field(e, ERROR_REFUSED, "same-account", "to_user_id", "the money would go where it comes from");
    if (from && from->kind != ACCOUNT_USER)
        return true;
    if (!from || account_spendable(from) < amount) {
        insufficient_funds(batch->arena, command, command->asset, amount, from ? account_spendable(from) : 0);
        strcpy(e->field, "amount");
        return false;
    }
    return true;
}

static void note_journal(const struct ledger *ledger, const char *note, int64_t effective_at_us)
{
    ledger_last(ledger)->note = note[0] ? note : NULL;
    ledger_last(ledger)->effective_at_us = effective_at_us;
}

/* Sets the money aside; tells nobody yet. */
static bool transfer_hold(struct batch *batch, struct command *command, struct account *from, const struct account *to)
{
    struct ledger *ledger = batch->ledger;
    struct leg hold = { from, -command->amount_minor, command->amount_minor };
    int64_t id = ledger->journal_ids[ledger->journal_count];
    if (to->status == ACCOUNT_CLOSED)
        return error_field(
            &command->error, ERROR_REFUSED, "account-closed", "to_account_id", "account %" PRId64 " is closed", to->id);
    if (!ledger_post(ledger, JOURNAL_TRANSFER_HOLD, arena_printf(batch->arena, "transfer:%" PRId64, id), &hold, 1,
            &command->error))
        return false;
    struct pending_transfer *pending = arena_alloc(batch->arena, sizeof *pending);
    *pending = (struct pending_transfer){
        .id = id,
        .from_account_id = from->id,
        .to_account_id = to->id,
        .asset_id = from->asset_id,
        .amount = command->amount_minor,
        .status = PENDING_OPEN,
        .created_by = command->user_id,
        .note = command->transfer.note[0] ? command->transfer.note : NULL,
        .expires_at_us = batch->now_us + command->transfer.expires_in_s * 1000000,
        .created_at_us = batch->now_us,
    };
    *table_slot(batch->pending, &pending->id, sizeof pending->id) = pending;
    batch->new_pending[batch->new_pending_count++] = pending;
    note_journal(ledger, command->transfer.note, 0);
    return true;
}

/* Moves the money; tells nobody yet. */
static bool transfer(struct batch *batch, struct command *command)
{
    struct ledger *ledger = batch->ledger;
    struct account *from, *to;
    if (!transfer_accounts(batch, command, &from, &to))
        return false;
    if (command->transfer.pending)
        return transfer_hold(batch, command, from, to);
    struct leg legs[] = { { from, -command->amount_minor, 0 }, { to, command->amount_minor, 0 } };
    const char *reference = arena_printf(batch->arena, "transfer:%" PRId64, ledger->journal_ids[ledger->journal_count]);
    if (!ledger_post(ledger, JOURNAL_TRANSFER, reference, legs, ARRAY_LEN(legs), &command->error))
        return false;
    note_journal(ledger, command->transfer.note, 0);
    return true;
}

bool journal_legs(const struct batch *batch, struct command *command, struct leg legs[LEDGER_LEGS_MAX])
{
    const struct journal_request *asked = &command->journal;
    for (size_t i = 0; i < asked->leg_count; i++) {
        const struct leg_request *leg = &asked->legs[i];
        legs[i] = (struct leg){ account_of(batch, &leg->account, leg->asset->id), leg->amount_minor, 0 };
        bool ok = legs[i].account || no_such_account(&command->error, "account_id");
        if (ok && legs[i].account->asset_id != leg->asset->id)
            ok = error_field(&command->error, ERROR_REFUSED, "asset-mismatch", "currency", "the account is not in %s",
                leg->asset->code);
        if (!ok)
            return error_in_part(&command->error, "legs", i);
    }
    return asked->effective_at_us <= batch->now_us ||
           error_field(&command->error, ERROR_REFUSED, "invalid-time", "effective_at", "effective_at is in the future");
}

/* An operator's journal; tells nobody yet. */
static bool journal(struct batch *batch, struct command *command)
{
    struct ledger *ledger = batch->ledger;
    struct leg legs[LEDGER_LEGS_MAX];
    if (!journal_legs(batch, command, legs))
        return false;
    const char *reference = arena_printf(batch->arena, "journal:%" PRId64, ledger->journal_ids[ledger->journal_count]);
    enum journal_kind kind = command->journal.kind ? (enum journal_kind)command->journal.kind : JOURNAL_MANUAL;
    if (!ledger_post(ledger, kind, reference, legs, command->journal.leg_count, &command->error))
        return false;
    note_journal(ledger, command->journal.note, command->journal.effective_at_us);
    return true;
}

void publish_journals(const struct batch *batch, struct outbox *outbox, const struct command *command, size_t first)
{
    for (size_t i = first; i < batch->ledger->journal_count; i++)
        event_entries_posted(
            outbox, batch->markets, batch->ledger, &batch->ledger->journals[i], batch->now_us, command->traceparent);
}

void transfer_decide(struct batch *batch, struct outbox *outbox, struct command *command)
{
    if (!transfer(batch, command))
        return;
    const struct ledger *ledger = batch->ledger;
    publish_journals(batch, outbox, command, ledger->journal_count - 1);
    command->status = 201;
    if (command->transfer.pending) {
        const struct pending_transfer *pending = batch->new_pending[batch->new_pending_count - 1];
        const struct account *from = ledger_account_by_id(ledger, pending->from_account_id),
                             *to = ledger_account_by_id(ledger, pending->to_account_id);
        command->reply =
            view_text(view_pending(pending, command->asset, from->owner_id, to->owner_id, from), batch->arena);
        return;
    }
    command->reply =
        view_transfer(batch->arena, ledger, ledger_last(ledger), command->asset, command->by_operator, batch->now_us);
}

void journal_decide(struct batch *batch, struct outbox *outbox, struct command *command)
{
    if (!journal(batch, command))
        return;
    const struct ledger *ledger = batch->ledger;
    publish_journals(batch, outbox, command, ledger->journal_count - 1);
    command->status = 201;
    command->reply = view_text(view_journal(batch->markets, ledger, ledger_last(ledger), batch->now_us), batch->arena);
}

/* ---- Many in one request ---- */

static void print_problem(FILE *out, const struct command *part)
{
    json_t *problem = http_problem(&part->error, NULL);
    if (part->short_asset) {
        json_object_set_new(problem, "asset", json_string(part->short_asset));
        json_object_set_new(problem, "available", json_string(part->available));
    }
    char *text = json_dumps(problem, JSON_COMPACT);
    fprintf(out, "{\"status\":%d,\"problem\":%s}", http_status(&part->error), text);
    free(text);
    json_decref(problem);
}

/* A transfer tells what its sender has left, a journal only its id. */
static void print_done(FILE *out, const struct batch *batch, const struct command *part)
{
    char available[DECIMAL_TEXT_MAX];
    const struct journal *done = ledger_last(batch->ledger);
    const struct entry *first = &batch->ledger->entries[done->first_entry];
    fprintf(out, "{\"status\":201,\"journal_id\":\"%" PRId64 "\"", done->id);
    if (part->kind == COMMAND_TRANSFER)
        fprintf(out, ",\"transfer_id\":\"%" PRId64 "\",\"available\":\"%s\"", done->id,
            decimal_format(first->available_after, part->asset->scale, 0, available));
    fputc('}', out);
}

static bool part_decide(struct batch *batch, struct command *part)
{
    if (part->error.kind != ERROR_NONE)
        return false;
    return part->kind == COMMAND_TRANSFER ? transfer(batch, part) : journal(batch, part);
}

/* All or none: the first that is refused takes back what went before, and is the answer. */
static void refuse_all(
    struct batch *batch, struct command *command, size_t index, size_t first_journal, size_t first_pending)
{
    const struct command *part = &command->many.each[index];
    ledger_undo(batch->ledger, first_journal);
    while (batch->new_pending_count > first_pending) {
        const struct pending_transfer *pending = batch->new_pending[--batch->new_pending_count];
        *table_slot(batch->pending, &pending->id, sizeof pending->id) = NULL;
    }
    command->error = part->error;
    command->short_asset = part->short_asset;
    command->available = part->available;
    error_in_part(&command->error, command->kind == COMMAND_TRANSFER_MANY ? "transfers" : "journals", index);
}

void many_journals_decide(struct batch *batch, struct outbox *outbox, struct command *command)
{
    const struct many *many = &command->many;
    size_t first = batch->ledger->journal_count, first_pending = batch->new_pending_count, refused = 0, len = 0;
    char *text = NULL;
    FILE *out = open_memstream(&text, &len);
    fprintf(out, "{\"%s\":[", command->kind == COMMAND_TRANSFER_MANY ? "transfers" : "journals");
    for (size_t i = 0; i < many->count && command->error.kind == ERROR_NONE; i++) {
        struct command *part = &many->each[i];
        bool ok = part_decide(batch, part);
        refused += !ok;
        fputs(i > 0 ? "," : "", out);
        if (ok)
            print_done(out, batch, part);
        else if (many->each_alone)
            print_problem(out, part);
        else
            refuse_all(batch, command, i, first, first_pending);
    }
    fprintf(out, "],\"done\":%zu,\"refused\":%zu}", many->count - refused, refused);
    fclose(out);
    if (command->error.kind == ERROR_NONE) {
        publish_journals(batch, outbox, command, first);
        command->status = refused > 0 ? 200 : 201;
        command->reply = arena_strdup(batch->arena, text);
    }
    free(text);
}
