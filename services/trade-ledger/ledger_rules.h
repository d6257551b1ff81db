/* ledger_rules.h -- double entry over the accounts of one batch. Pure; lives in the batch's arena.
 *
 * Accounts are loaded and locked by store.c, changed here, and stored with their final balances; each journal and each
 * entry, with the balances after it, becomes a row. Invariants: a journal's deltas sum to zero per asset over both
 * buckets; what a user has available never goes below zero, or his overdraft; nobody's held does; available + held fits
 * into int64; nothing goes out of a frozen account but what was set aside before, and nothing moves in a closed one. A
 * journal that would break one is refused as a whole. The engine's executions settle what was agreed before: they book
 * also into accounts that are frozen, and what they bring into a closed one leaves it frozen. */
#pragma once

#include "table.h"
#include "types.h"

#include <event_bus/error.h>

struct account {
    int64_t id;
    uint64_t owner_id;
    int32_t kind; /* enum account_kind */
    int32_t asset_id;
    int64_t available, held;
    enum account_status status; /* 0: as open */
    int64_t overdraft_minor;    /* of a user's: may go below zero by this */
    bool changed, terms_changed;
    bool woken; /* it was closed, and money came */
};

struct leg {
    struct account *account;
    int64_t available_delta, held_delta;
};

struct entry {
    int64_t id;
    struct account *account;
    int64_t available_delta, held_delta;
    int64_t available_after, held_after;
};

struct journal {
    int64_t id;
    enum journal_kind kind;
    const char *reference;   /* in the arena */
    const char *cause;       /* source and id of the request or event behind it; NULL: none */
    const char *note;        /* NULL: none */
    int64_t effective_at_us; /* 0: when it is posted */
    size_t first_entry, entry_count;
};

struct ledger {
    struct arena *arena;
    struct table *by_key, *by_id;
    const char *cause; /* of the journals that are posted next; borrowed */
    struct account **accounts;
    size_t account_count, account_capacity;
    struct journal *journals;
    struct entry *entries;
    size_t journal_count, journal_max, entry_count, entry_max;
    const int64_t *journal_ids;
    int64_t locked_at_us; /* the database's clock, read once all accounts were locked: when its journals are posted */
};

/* Of one journal; an entry's id is the journal's times this, and its number in it (migration 0017). */
enum { LEDGER_LEGS_MAX = 64 };

struct ledger *ledger_new(struct arena *arena);

/* Ids that may be used, taken from the sequence beforehand: the most that the batch can need. Borrowed. So many entries
 * at most. */
void ledger_set_ids(struct ledger *ledger, const int64_t *journal_ids, size_t journal_count, size_t entry_count);

struct account *ledger_add_account(struct ledger *ledger, const struct account *account); /* copies */
struct account *ledger_account(
    const struct ledger *ledger, uint64_t owner_id, enum account_kind kind, int32_t asset_id);
struct account *ledger_account_by_id(const struct ledger *ledger, int64_t id); /* NULL: not loaded */

/* What may go out of it now: what is available, and the overdraft. */
int64_t account_spendable(const struct account *account);

/* Whether they sum to zero for each asset. */
bool legs_sum_to_zero(const struct leg *legs, size_t count);

/* Applies all legs or none. Legs without a movement make no entry. Errors: REFUSED: insufficient-funds, account-frozen,
 * account-closed, unbalanced (also for an empty journal), overflow. */
MUST_CHECK bool ledger_post(struct ledger *ledger, enum journal_kind kind, const char *reference,
    const struct leg *legs, size_t count, struct error *e);

struct journal *ledger_last(const struct ledger *ledger);

/* Takes back all journals from number `mark` (an earlier journal_count) on. */
void ledger_undo(struct ledger *ledger, size_t mark);
