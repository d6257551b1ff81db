#include "fixture.h"

#include <criterion/criterion.h>
#include <string.h>

struct world {
    struct arena *arena;
    struct batch *batch;
    struct account *ann, *bob, *funding, *ann_btc;
};

static struct world world_new(void)
{
    struct world w = { .arena = arena_new() };
    w.batch = fixture_batch(w.arena, 100);
    w.ann = fixture_account(w.batch, 1, ACCOUNT_USER, USD);
    w.bob = fixture_account(w.batch, 2, ACCOUNT_USER, USD);
    w.ann_btc = fixture_account(w.batch, 1, ACCOUNT_USER, BTC);
    w.funding = fixture_account(w.batch, 0, ACCOUNT_FUNDING, USD);
    return w;
}

Test(ledger_rules, a_journal_moves_all_its_legs_and_keeps_the_balances_after_each)
{
    struct world w = world_new();
    struct error e = { 0 };
    struct leg topup[] = { { w.funding, -100, 0 }, { w.ann, 100, 0 } }, hold = { w.ann, -30, 30 };
    cr_assert(ledger_post(w.batch->ledger, JOURNAL_TOPUP, "topup:1", topup, 2, &e));
    cr_assert(ledger_post(w.batch->ledger, JOURNAL_HOLD, "order:1", &hold, 1, &e));
    const struct ledger *ledger = w.batch->ledger;
    cr_expect(w.ann->available == 70 && w.ann->held == 30 && w.funding->available == -100);
    cr_expect(ledger->journal_count == 2 && ledger->entry_count == 3);
    cr_expect(ledger->entries[1].available_after == 100 && ledger->entries[2].available_after == 70 &&
              ledger->entries[2].held_after == 30);
    arena_free(w.arena);
}

Test(ledger_rules, a_journal_that_breaks_a_rule_changes_nothing)
{
    static const struct {
        const char *what, *problem;
        int64_t ann_available, ann_held, bob_available, bob_held, btc_available;
    } cases[] = {
        { "does not sum to zero", "unbalanced", -10, 0, 9, 0, 0 },
        { "sums to zero only over two assets", "unbalanced", -10, 0, 0, 0, 10 },
        { "takes more than there is", "insufficient-funds", -101, 0, 101, 0, 0 },
        { "takes more held than there is", "insufficient-funds", 0, -1, 0, 1, 0 },
        { "holds more than there is", "insufficient-funds", -101, 101, 0, 0, 0 },
        { "overflows", "overflow", -INT64_MAX, 0, INT64_MAX, 0, 0 },
        { "moves nothing", "unbalanced", 0, 0, 0, 0, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world w = world_new();
        struct error e = { 0 };
        w.ann->available = w.bob->available = 100;
        struct leg legs[] = { { w.bob, cases[i].bob_available, cases[i].bob_held },
            { w.ann_btc, cases[i].btc_available, 0 }, { w.ann, cases[i].ann_available, cases[i].ann_held } };
        cr_expect(!ledger_post(w.batch->ledger, JOURNAL_TRADE, "x", legs, 3, &e), "%s was booked", cases[i].what);
        cr_expect_str_eq(e.problem, cases[i].problem, "%s: %s", cases[i].what, e.problem);
        cr_expect(w.ann->available == 100 && w.ann->held == 0 && w.bob->available == 100 && w.ann_btc->available == 0 &&
                      w.batch->ledger->journal_count == 0 && w.batch->ledger->entry_count == 0,
            "%s left something behind", cases[i].what);
        arena_free(w.arena);
    }
}

Test(ledger_rules, undo_takes_back_everything_after_the_mark)
{
    struct world w = world_new();
    struct error e = { 0 };
    struct leg first[] = { { w.funding, -100, 0 }, { w.ann, 100, 0 } },
               second[] = { { w.ann, -60, 0 }, { w.bob, 60, 0 } };
    cr_assert(ledger_post(w.batch->ledger, JOURNAL_TOPUP, "a", first, 2, &e));
    cr_assert(ledger_post(w.batch->ledger, JOURNAL_TRADE, "b", second, 2, &e));
    cr_assert(ledger_post(w.batch->ledger, JOURNAL_TRADE, "c", (struct leg[]){ { w.bob, -5, 5 } }, 1, &e));
    ledger_undo(w.batch->ledger, 1);
    cr_expect(
        w.ann->available == 100 && w.bob->available == 0 && w.bob->held == 0 && w.batch->ledger->entry_count == 2);
    arena_free(w.arena);
}

Test(table, finds_what_was_put_in_and_grows)
{
    struct arena *arena = arena_new();
    struct table *table = table_new(arena);
    static int values[5000];
    for (int64_t i = 0; i < 5000; i++) {
        void **slot = table_slot(table, &i, sizeof i);
        cr_assert(!*slot);
        *slot = &values[i];
    }
    for (int64_t i = 0; i < 5000; i++)
        cr_assert(table_find(table, &i, sizeof i) == &values[i] && *table_slot(table, &i, sizeof i) == &values[i]);
    int64_t missing = 5000;
    cr_expect(!table_find(table, &missing, sizeof missing) && !table_find(table, "", 0));
    arena_free(arena);
}

Test(markets, units_that_contradict_each_other_stop_the_start)
{
    static const struct {
        const char *tick_size, *lot_size;
        int64_t lot_minor, notional_unit;
        bool good;
    } cases[] = {
        { "0.01", "0.000001", 100, 1, true },
        { "0.01", "1", 100000000, 1000000, true },
        { "1", "0.00000001", 1, 1, true },
        { "0.01", "0.000001", 10, 1, false },
        { "0.01", "0.000001", 100, 2, false },
        { "0.001", "0.000001", 100, 1, false }, /* a tenth of a minor unit */
        { "0", "0.000001", 100, 1, false },
        { "x", "0.000001", 100, 1, false },
        { "0.01", "-1", 100, 1, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct market market = *fixture_btc_usd();
        struct error e = { 0 };
        strcpy(market.tick_size, cases[i].tick_size);
        strcpy(market.lot_size, cases[i].lot_size);
        market.lot_minor = cases[i].lot_minor;
        market.notional_unit_minor = cases[i].notional_unit;
        cr_expect(market_units(&market, &e) == cases[i].good, "case %zu: %s", i, e.message);
        cr_expect(cases[i].good || e.kind == ERROR_FATAL, "case %zu", i);
    }
}

Test(ledger_rules, terms_of_an_account_refuse_what_goes_out_but_not_what_was_agreed_before)
{
    static const struct {
        const char *what, *problem; /* "": it is booked */
        enum account_status status;
        int64_t overdraft;
        enum journal_kind kind;
        int64_t available, held;
    } cases[] = {
        { "a debit of an open account", "", ACCOUNT_OPEN, 0, JOURNAL_TRANSFER, -100, 0 },
        { "a debit of a frozen account", "account-frozen", ACCOUNT_FROZEN, 0, JOURNAL_TRANSFER, -1, 0 },
        { "a hold in a frozen account", "account-frozen", ACCOUNT_FROZEN, 0, JOURNAL_HOLD, -1, 1 },
        { "a credit of a frozen account", "", ACCOUNT_FROZEN, 0, JOURNAL_TRANSFER, 1, 0 },
        { "what was held leaves a frozen account", "", ACCOUNT_FROZEN, 0, JOURNAL_TRANSFER_POST, 0, -5 },
        { "a credit of a closed account", "account-closed", ACCOUNT_CLOSED, 0, JOURNAL_TRANSFER, 1, 0 },
        { "an execution into a closed account", "", ACCOUNT_CLOSED, 0, JOURNAL_TRADE, 1, 0 },
        { "a debit down to the overdraft", "", ACCOUNT_OPEN, 50, JOURNAL_TRANSFER, -150, 0 },
        { "a debit beyond the overdraft", "insufficient-funds", ACCOUNT_OPEN, 50, JOURNAL_TRANSFER, -151, 0 },
        { "a hold down to the overdraft", "", ACCOUNT_OPEN, 50, JOURNAL_HOLD, -150, 150 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world w = world_new();
        struct error e = { 0 };
        w.ann->available = 100;
        w.ann->held = 5;
        w.ann->status = cases[i].status;
        w.ann->overdraft_minor = cases[i].overdraft;
        struct leg legs[] = { { w.funding, -cases[i].available - cases[i].held, 0 },
            { w.ann, cases[i].available, cases[i].held } };
        bool booked = ledger_post(w.batch->ledger, cases[i].kind, "x", legs, 2, &e);
        cr_expect(booked == !cases[i].problem[0], "%s", cases[i].what);
        cr_expect_str_eq(e.problem, cases[i].problem, "%s: %s", cases[i].what, e.problem);
        cr_expect(w.ann->available == 100 + (booked ? cases[i].available : 0), "%s", cases[i].what);
        bool woken = booked && cases[i].status == ACCOUNT_CLOSED;
        cr_expect(w.ann->terms_changed == woken && (!woken || w.ann->status == ACCOUNT_FROZEN), "%s", cases[i].what);
        arena_free(w.arena);
    }
}
