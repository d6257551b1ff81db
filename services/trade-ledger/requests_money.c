/* JSON → command: transfers, journals, accounts. */
#include "ledger_rules.h"
#include "requests_parts.h"
#include "views.h"

#include <string.h>

/* An id as JSON carries it: a string of digits; 0 if absent. */
static bool id_from_json(const json_t *json, const char *field, uint64_t *ret_id, struct error *e)
{
    const char *text = NULL;
    struct error malformed = { 0 };
    *ret_id = 0;
    if (!json_opt_string(json, field, NULL, &text, e))
        return false;
    return !text || (parse_id(text, field, ret_id, &malformed) && *ret_id <= INT64_MAX) ||
           error_field(e, ERROR_INVALID, "invalid-id", field, "%s must be an id, as a string of digits", field);
}

static bool account_id_from_json(const json_t *json, const char *field, struct account_ref *ret, struct error *e)
{
    uint64_t id;
    if (!id_from_json(json, field, &id, e))
        return false;
    ret->id = (int64_t)id;
    return true;
}

static bool life_from_json(const json_t *json, struct transfer_request *ret, struct error *e)
{
    ret->expires_in_s = TRANSFER_LIFE_S;
    if (!json_object_get(json, "expires_in_s"))
        return true;
    if (!ret->pending)
        return error_field(e, ERROR_INVALID, "unknown-field", "expires_in_s", "only a pending transfer has an end");
    return int_from_json(json, "expires_in_s", 1, TRANSFER_LIFE_MAX_S, &ret->expires_in_s, e);
}

static bool transfer_from_json(const json_t *json, uint64_t user_id, struct transfer_request *ret, struct error *e)
{
    static const char *const fields[] = { "to_user_id", "to_account_id", "from_account_id", "currency", "amount",
        "reference", "pending", "expires_in_s", NULL };
    *ret = (struct transfer_request){ .from = { .owner_id = user_id, .kind = ACCOUNT_USER },
        .to.kind = ACCOUNT_USER,
        .currency = "",
        .amount = "",
        .note = "" };
    if (!json_only_fields(json, fields, e) || !id_from_json(json, "to_user_id", &ret->to.owner_id, e) ||
        !account_id_from_json(json, "to_account_id", &ret->to, e) ||
        !account_id_from_json(json, "from_account_id", &ret->from, e) ||
        !json_get_string(json, "currency", &ret->currency, e) || !json_get_string(json, "amount", &ret->amount, e) ||
        !json_opt_string(json, "reference", "", &ret->note, e) ||
        !json_opt_bool(json, "pending", false, &ret->pending, e) || !life_from_json(json, ret, e))
        return false;
    if (ret->to.owner_id == 0 && ret->to.id == 0)
        return error_field(e, ERROR_INVALID, "missing-field", "to_user_id", "to_user_id or to_account_id is missing");
    return ret->to.owner_id == 0 || ret->to.id == 0 ||
           error_field(e, ERROR_INVALID, "unknown-field", "to_account_id", "only one recipient can be named");
}

bool read_transfer(const struct http_request *r, struct arena *arena, struct command *command, struct error *e)
{
    (void)arena;
    return transfer_from_json(r->json, command->user_id, &command->transfer, e);
}

static bool leg_from_json(const json_t *json, struct leg_request *ret, struct error *e)
{
    static const char *const fields[] = { "account_id", "user_id", "account", "currency", "amount", NULL };
    const char *kind = NULL;
    *ret = (struct leg_request){ .account.kind = ACCOUNT_USER, .currency = "", .amount = "" };
    if (!json_is_object(json))
        return error_field(e, ERROR_INVALID, "wrong-type", "", "a leg must be an object");
    if (!json_only_fields(json, fields, e) || !account_id_from_json(json, "account_id", &ret->account, e) ||
        !id_from_json(json, "user_id", &ret->account.owner_id, e) ||
        !json_opt_string(json, "account", NULL, &kind, e) || !json_get_string(json, "currency", &ret->currency, e) ||
        !json_get_string(json, "amount", &ret->amount, e))
        return false;
    if ((ret->account.id != 0) + (ret->account.owner_id != 0) + (kind != NULL) != 1)
        return error_field(e, ERROR_INVALID, "missing-field", "account_id",
            "exactly one of account_id, user_id and account is needed");
    if (kind && (!account_kind_parse(kind, &ret->account.kind) || ret->account.kind == ACCOUNT_USER))
        return error_field(
            e, ERROR_INVALID, "unknown-value", "account", "account must be funding, fees, suspense or house");
    return true;
}

static bool journal_from_json(const json_t *json, struct arena *arena, struct journal_request *ret, struct error *e)
{
    static const char *const fields[] = { "legs", "reference", "effective_at", NULL };
    const json_t *legs = NULL;
    *ret = (struct journal_request){ .note = "" };
    if (!json_only_fields(json, fields, e) || !array_from_json(json, "legs", 2, LEDGER_LEGS_MAX, &legs, e) ||
        !json_opt_string(json, "reference", "", &ret->note, e) ||
        !time_from_json(json, "effective_at", &ret->effective_at_us, e))
        return false;
    ret->legs = arena_alloc(arena, json_array_size(legs) * sizeof *ret->legs);
    for (size_t i = 0; i < json_array_size(legs); i++)
        if (!leg_from_json(json_array_get(legs, i), &ret->legs[i], e))
            return error_in_part(e, "legs", i);
    ret->leg_count = json_array_size(legs);
    return true;
}

bool read_journal(const struct http_request *r, struct arena *arena, struct command *command, struct error *e)
{
    return journal_from_json(r->json, arena, &command->journal, e);
}

/* As a journal, or {"reverses": id, "reference"?}. */
bool read_proposal(const struct http_request *r, struct arena *arena, struct command *command, struct error *e)
{
    static const char *const fields[] = { "reverses", "reference", NULL };
    uint64_t id;
    if (!json_object_get(r->json, "reverses"))
        return journal_from_json(r->json, arena, &command->journal, e);
    command->journal = (struct journal_request){ .note = "" };
    if (!json_only_fields(r->json, fields, e) || !id_from_json(r->json, "reverses", &id, e) ||
        !json_opt_string(r->json, "reference", "", &command->journal.note, e))
        return false;
    command->journal.reverses = (int64_t)id;
    return id > 0 || error_field(e, ERROR_INVALID, "missing-field", "reverses", "reverses is missing");
}

/* {"<name>": [...], "mode": "all" | "each"}. What cannot be read of one element is that one's answer where each stands
 * alone. */
static bool many_from_json(
    const json_t *json, const char *name, struct arena *arena, struct command *command, struct error *e)
{
    const char *fields[] = { name, "mode", NULL }, *mode = NULL;
    bool transfers = command->kind == COMMAND_TRANSFER_MANY;
    const json_t *list = NULL;
    if (!json_only_fields(json, fields, e) || !array_from_json(json, name, 1, BATCH_TRANSFERS_MAX, &list, e) ||
        !json_opt_string(json, "mode", "all", &mode, e))
        return false;
    if (strcmp(mode, "all") != 0 && strcmp(mode, "each") != 0)
        return error_field(e, ERROR_INVALID, "unknown-value", "mode", "mode must be all or each");
    command->many =
        (struct many){ .symbol = "", .count = json_array_size(list), .each_alone = strcmp(mode, "each") == 0 };
    command->many.each = arena_alloc(arena, command->many.count * sizeof *command->many.each);
    for (size_t i = 0; i < command->many.count; i++) {
        struct command *part = &command->many.each[i];
        const json_t *element = json_array_get(list, i);
        *part = *command;
        part->key = NULL;
        part->kind = transfers ? COMMAND_TRANSFER : COMMAND_JOURNAL;
        part->journal = (struct journal_request){ .note = "" };
        if (!json_is_object(element))
            error_field(&part->unread, ERROR_INVALID, "wrong-type", "", "each must be an object");
        else if (transfers && transfer_from_json(element, part->user_id, &part->transfer, &part->unread))
            continue;
        else if (!transfers && journal_from_json(element, arena, &part->journal, &part->unread))
            continue;
        if (command->many.each_alone)
            continue;
        *e = part->unread;
        return error_in_part(e, name, i);
    }
    return true;
}

bool read_transfers(const struct http_request *r, struct arena *arena, struct command *command, struct error *e)
{
    return many_from_json(r->json, "transfers", arena, command, e);
}

bool read_journals(const struct http_request *r, struct arena *arena, struct command *command, struct error *e)
{
    return many_from_json(r->json, "journals", arena, command, e);
}

static bool transfer_from_path(const struct http_request *r, struct command *command, struct error *e)
{
    uint64_t id;
    command->step = (struct step_request){ .amount = "" };
    if (!parse_id(r->params[0], "transfer_id", &id, e) || id > INT64_MAX)
        return error_field(e, ERROR_NOT_FOUND, "transfer-not-found", "transfer_id", "there is no such transfer");
    command->step.transfer_id = (int64_t)id;
    return true;
}

bool read_post(const struct http_request *r, struct arena *arena, struct command *command, struct error *e)
{
    static const char *const fields[] = { "amount", NULL };
    (void)arena;
    return transfer_from_path(r, command, e) && json_only_fields(r->json, fields, e) &&
           json_opt_string(r->json, "amount", "", &command->step.amount, e);
}

bool read_void(const struct http_request *r, struct arena *arena, struct command *command, struct error *e)
{
    static const char *const fields[] = { NULL };
    (void)arena;
    if (!transfer_from_path(r, command, e) || !json_only_fields(r->json, fields, e))
        return false;
    command->step.step = STEP_VOID;
    return true;
}

bool read_reverse(const struct http_request *r, struct arena *arena, struct command *command, struct error *e)
{
    static const char *const fields[] = { "reference", NULL };
    uint64_t id;
    (void)arena;
    if (!parse_id(r->params[0], "journal_id", &id, e) || id > INT64_MAX)
        return error_field(e, ERROR_NOT_FOUND, "journal-not-found", "journal_id", "there is no such journal");
    command->reverse = (struct reverse_request){ .journal_id = (int64_t)id };
    return json_only_fields(r->json, fields, e) && json_opt_string(r->json, "reference", "", &command->reverse.note, e);
}

static bool read_decision(const struct http_request *r, struct command *command, bool approve, struct error *e)
{
    static const char *const fields[] = { "reason", NULL };
    uint64_t id;
    if (!parse_id(r->params[0], "adjustment_id", &id, e) || id > INT64_MAX)
        return error_field(e, ERROR_NOT_FOUND, "adjustment-not-found", "adjustment_id", "there is no such adjustment");
    command->decision = (struct decision_request){ .adjustment_id = (int64_t)id, .approve = approve };
    return json_only_fields(r->json, fields, e) && json_opt_string(r->json, "reason", "", &command->decision.reason, e);
}

bool read_approve(const struct http_request *r, struct arena *arena, struct command *command, struct error *e)
{
    (void)arena;
    return read_decision(r, command, true, e);
}

bool read_reject(const struct http_request *r, struct arena *arena, struct command *command, struct error *e)
{
    (void)arena;
    return read_decision(r, command, false, e);
}

bool read_account_change(const struct http_request *r, struct arena *arena, struct command *command, struct error *e)
{
    static const char *const fields[] = { "status", "overdraft", "reason", NULL };
    struct account_change_request *change = &command->account_change;
    const char *status = NULL;
    uint64_t id;
    (void)arena;
    *change = (struct account_change_request){ 0 };
    if (!parse_id(r->params[0], "account_id", &id, e) || id > INT64_MAX)
        return error_field(e, ERROR_NOT_FOUND, "account-not-found", "account_id", "there is no such account");
    change->account_id = (int64_t)id;
    if (!json_only_fields(r->json, fields, e) || !json_opt_string(r->json, "status", NULL, &status, e) ||
        !json_opt_string(r->json, "overdraft", "", &change->overdraft, e) ||
        !json_get_string(r->json, "reason", &change->reason, e))
        return false;
    return !status || account_status_parse(status, &change->status) ||
           error_field(e, ERROR_INVALID, "unknown-value", "status", "status must be open, frozen or closed");
}
