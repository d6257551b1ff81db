/* ledger_rules.h -- double entry over the accounts of one batch. Pure; lives in the batch's arena.
 *
 * Accounts are loaded and locked by store.c, changed here, and stored with their final balances; each journal and each
 * entry, with the balances after it, becomes a row. Invariants: a journal's deltas sum to zero per asset over both
 * buckets; a user's buckets never go below zero; nobody's held does; available + held fits into int64. A journal that
 * would break one is refused as a whole. */
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
    bool changed;
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
    const char *reference; /* in the arena */
    size_t first_entry, entry_count;
};

struct ledger {
    struct arena *arena;
    struct table *by_key;
    struct account **accounts;
    size_t account_count, account_capacity;
    struct journal *journals;
    struct entry *entries;
    size_t journal_count, journal_max, entry_count, entry_max;
    const int64_t *journal_ids, *entry_ids;
    int64_t locked_at_us; /* the database's clock, read once all accounts were locked: when its journals are posted */
};

enum { LEDGER_LEGS_MAX = 16 }; /* of one journal */

struct ledger *ledger_new(struct arena *arena);

/* Ids that may be used, taken from the sequences beforehand: the most that the batch can need. Borrowed. */
void ledger_set_ids(struct ledger *ledger, const int64_t *journal_ids, size_t journal_count, const int64_t *entry_ids,
    size_t entry_count);

struct account *ledger_add_account(struct ledger *ledger, const struct account *account); /* copies */
struct account *ledger_account(
    const struct ledger *ledger, uint64_t owner_id, enum account_kind kind, int32_t asset_id);

/* Applies all legs or none. Legs without a movement make no entry. Errors: REFUSED: insufficient-funds, unbalanced
 * (also for an empty journal), overflow. */
MUST_CHECK bool ledger_post(struct ledger *ledger, enum journal_kind kind, const char *reference,
    const struct leg *legs, size_t count, struct error *e);

/* Takes back all journals from number `mark` (an earlier journal_count) on. */
void ledger_undo(struct ledger *ledger, size_t mark);
