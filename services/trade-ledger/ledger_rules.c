#include "ledger_rules.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

struct account_key {
    uint64_t owner_id;
    int32_t kind, asset_id;
};

struct ledger *ledger_new(struct arena *arena)
{
    struct ledger *ledger = arena_alloc(arena, sizeof *ledger);
    *ledger = (struct ledger){ .arena = arena, .by_key = table_new(arena), .by_id = table_new(arena) };
    return ledger;
}

void ledger_set_ids(struct ledger *ledger, const int64_t *journal_ids, size_t journal_count, size_t entry_count)
{
    assert(ledger->journal_count == 0);
    ledger->journal_ids = journal_ids;
    ledger->journal_max = journal_count;
    ledger->entry_max = entry_count;
    ledger->journals = arena_alloc(ledger->arena, (journal_count + 1) * sizeof *ledger->journals);
    ledger->entries = arena_alloc(ledger->arena, (entry_count + 1) * sizeof *ledger->entries);
}

struct account *ledger_add_account(struct ledger *ledger, const struct account *account)
{
    struct account_key key = { account->owner_id, account->kind, account->asset_id };
    void **slot = table_slot(ledger->by_key, &key, sizeof key);
    assert(!*slot);
    struct account *copy = arena_alloc(ledger->arena, sizeof *copy);
    *copy = *account;
    *slot = copy;
    *table_slot(ledger->by_id, &copy->id, sizeof copy->id) = copy;
    if (ledger->account_count == ledger->account_capacity) {
        size_t capacity = ledger->account_capacity ? ledger->account_capacity * 2 : 64;
        struct account **grown = arena_alloc(ledger->arena, capacity * sizeof(struct account *));
        if (ledger->account_count)
            memcpy(grown, ledger->accounts, ledger->account_count * sizeof(struct account *));
        ledger->accounts = grown;
        ledger->account_capacity = capacity;
    }
    ledger->accounts[ledger->account_count++] = copy;
    return copy;
}

struct account *ledger_account(const struct ledger *ledger, uint64_t owner_id, enum account_kind kind, int32_t asset_id)
{
    struct account_key key = { owner_id, (int32_t)kind, asset_id };
    return table_find(ledger->by_key, &key, sizeof key);
}

struct account *ledger_account_by_id(const struct ledger *ledger, int64_t id)
{
    return table_find(ledger->by_id, &id, sizeof id);
}

int64_t account_spendable(const struct account *account)
{
    int64_t spendable;
    return __builtin_add_overflow(account->available, account->overdraft_minor, &spendable) ? INT64_MAX : spendable;
}

struct journal *ledger_last(const struct ledger *ledger)
{
    assert(ledger->journal_count > 0);
    return &ledger->journals[ledger->journal_count - 1];
}

bool legs_sum_to_zero(const struct leg *legs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        __int128 sum = 0;
        for (size_t j = 0; j < count; j++) {
            if (legs[j].account->asset_id == legs[i].account->asset_id)
                sum += (__int128)legs[j].available_delta + legs[j].held_delta;
        }
        if (sum != 0)
            return false;
    }
    return true;
}

/* What the engine has executed, or gives back, was agreed when the money was set aside. */
static bool settles(enum journal_kind kind)
{
    return kind == JOURNAL_TRADE || kind == JOURNAL_RELEASE;
}

static bool leg_allowed(const struct leg *leg, struct error *e)
{
    const struct account *account = leg->account;
    if (account->status == ACCOUNT_CLOSED)
        return error_field(
            e, ERROR_REFUSED, "account-closed", "account_id", "account %" PRId64 " is closed", account->id);
    if (account->status == ACCOUNT_FROZEN && leg->available_delta < 0)
        return error_field(e, ERROR_REFUSED, "account-frozen", "account_id",
            "account %" PRId64 " is frozen: nothing goes out", account->id);
    return true;
}

static bool leg_apply(const struct leg *leg, enum journal_kind kind, struct error *e)
{
    struct account *account = leg->account;
    if (!settles(kind) && !leg_allowed(leg, e))
        return false;
    int64_t available, held, total;
    if (__builtin_add_overflow(account->available, leg->available_delta, &available) ||
        __builtin_add_overflow(account->held, leg->held_delta, &held) ||
        __builtin_add_overflow(available, held, &total))
        return error_field(e, ERROR_REFUSED, "overflow", "amount", "the balance would be larger than can be booked");
    bool owes = leg->available_delta < 0 && account->kind == ACCOUNT_USER && available < -account->overdraft_minor;
    if (held < 0 || owes)
        return error_field(e, ERROR_REFUSED, "insufficient-funds", "", "the account would go below its limit");
    account->available = available;
    account->held = held;
    account->changed = true;
    return true;
}

static void entry_undo(const struct entry *entry)
{
    entry->account->available -= entry->available_delta;
    entry->account->held -= entry->held_delta;
}

/* Money that came too late for the one who closed the account waits in it until an operator sees to it. */
static void wake_closed(struct ledger *ledger, size_t first_entry)
{
    for (size_t i = first_entry; i < ledger->entry_count; i++) {
        struct account *account = ledger->entries[i].account;
        if (account->status != ACCOUNT_CLOSED)
            continue;
        account->status = ACCOUNT_FROZEN;
        account->terms_changed = true;
        account->woken = true;
    }
}

bool ledger_post(struct ledger *ledger, enum journal_kind kind, const char *reference, const struct leg *legs,
    size_t count, struct error *e)
{
    assert(count <= LEDGER_LEGS_MAX && ledger->journal_count < ledger->journal_max);
    if (!legs_sum_to_zero(legs, count))
        return error_field(e, ERROR_REFUSED, "unbalanced", "legs", "the legs do not sum to zero");

    const int64_t journal_id = ledger->journal_ids[ledger->journal_count];
    size_t first = ledger->entry_count;
    for (size_t i = 0; i < count; i++) {
        if (legs[i].available_delta == 0 && legs[i].held_delta == 0)
            continue;
        if (!leg_apply(&legs[i], kind, e)) {
            while (ledger->entry_count > first)
                entry_undo(&ledger->entries[--ledger->entry_count]);
            return false;
        }
        assert(ledger->entry_count < ledger->entry_max);
        struct entry *entry = &ledger->entries[ledger->entry_count];
        *entry = (struct entry){
            .id = journal_id * LEDGER_LEGS_MAX + (int64_t)(ledger->entry_count - first),
            .account = legs[i].account,
            .available_delta = legs[i].available_delta,
            .held_delta = legs[i].held_delta,
            .available_after = legs[i].account->available,
            .held_after = legs[i].account->held,
        };
        ledger->entry_count++;
    }
    if (ledger->entry_count == first)
        return error_field(e, ERROR_REFUSED, "unbalanced", "legs", "nothing moves");
    ledger->journals[ledger->journal_count] = (struct journal){
        .id = journal_id,
        .kind = kind,
        .reference = arena_strdup(ledger->arena, reference),
        .cause = ledger->cause,
        .first_entry = first,
        .entry_count = ledger->entry_count - first,
    };
    ledger->journal_count++;
    wake_closed(ledger, first);
    return true;
}

void ledger_undo(struct ledger *ledger, size_t mark)
{
    assert(mark <= ledger->journal_count);
    while (ledger->journal_count > mark) {
        const struct journal *journal = &ledger->journals[--ledger->journal_count];
        while (ledger->entry_count > journal->first_entry)
            entry_undo(&ledger->entries[--ledger->entry_count]);
    }
}
