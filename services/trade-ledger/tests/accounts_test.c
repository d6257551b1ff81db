/* The chart of accounts on a real Postgres: frozen, closed, overdrawn, seen by their owners and by operators. */
#include "testing.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(accounts, .fini = world_end);

#define TO_8(amount) "{\"to_user_id\":\"8\",\"currency\":\"USD\",\"amount\":\"" amount "\"}"
#define BUY          "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":\"limit\",\"price\":\"10\",\"quantity\":\"1\"}"
#define FREEZE       "{\"status\":\"frozen\",\"reason\":\"court\"}"

static struct world *one_rich_user(int64_t *ret_account)
{
    struct world *world = world_new();
    cr_assert_eq(top_up(world, 7, "seed", "{\"currency\":\"USD\",\"amount\":\"100\"}").status, 201);
    cr_assert_eq(top_up(world, 8, "seed", "{\"currency\":\"USD\",\"amount\":\"1\"}").status, 201);
    *ret_account = ask(world, "SELECT id FROM accounts WHERE owner_id = 7");
    return world;
}

Test(accounts, nothing_goes_out_of_a_frozen_account_but_money_still_comes_in)
{
    int64_t account;
    struct world *world = one_rich_user(&account);
    struct answer frozen = change_account(world, account, FREEZE);
    cr_assert_eq(frozen.status, 200, "%s", frozen.message);
    cr_expect_str_eq(text_of(&frozen, "status"), "frozen");
    struct answer sent = transfer(world, 7, "a", TO_8("1")), bought = place(world, 7, "b", BUY);
    cr_expect(sent.status == 422 && strcmp(sent.problem, "account-frozen") == 0, "%d %s", sent.status, sent.problem);
    cr_expect(bought.status == 422 && strcmp(bought.problem, "account-frozen") == 0, "%d", bought.status);
    cr_expect_eq(top_up(world, 7, "c", "{\"currency\":\"USD\",\"amount\":\"5\"}").status, 201);
    cr_assert_eq(change_account(world, account, "{\"status\":\"open\",\"reason\":\"lifted\"}").status, 200);
    cr_expect_eq(transfer(world, 7, "a", TO_8("1")).status, 201);
    cr_expect_eq(
        ask(world, "SELECT count(*) FROM account_changes WHERE changed_by = 1000 AND reason IN ('court', 'lifted')"),
        2);
    check_invariants(world);
}

Test(accounts, only_an_empty_account_is_closed_and_then_nothing_moves)
{
    int64_t account;
    struct world *world = one_rich_user(&account);
    struct answer full = change_account(world, account, "{\"status\":\"closed\",\"reason\":\"asked for\"}");
    cr_expect(full.status == 409 && strcmp(full.problem, "account-not-empty") == 0, "%d", full.status);
    cr_assert_eq(transfer(world, 7, "a", TO_8("100")).status, 201);
    cr_assert_eq(change_account(world, account, "{\"status\":\"closed\",\"reason\":\"asked for\"}").status, 200);
    struct answer in = transfer(world, 8, "b", "{\"to_user_id\":\"7\",\"currency\":\"USD\",\"amount\":\"1\"}");
    cr_expect(in.status == 422 && strcmp(in.problem, "account-closed") == 0, "%d %s", in.status, in.problem);
    struct answer top = top_up(world, 7, "c", "{\"currency\":\"USD\",\"amount\":\"5\"}");
    cr_expect(top.status == 422 && strcmp(top.problem, "account-closed") == 0, "%d", top.status);
    check_invariants(world);
}

Test(accounts, an_overdraft_lets_an_account_go_below_zero_by_so_much_and_cannot_shrink_under_what_is_owed)
{
    int64_t account;
    struct world *world = one_rich_user(&account);
    cr_expect_eq(transfer(world, 7, "a", TO_8("150")).status, 422);
    struct answer set = change_account(world, account, "{\"overdraft\":\"50\",\"reason\":\"credit line\"}");
    cr_expect_str_eq(text_of(&set, "overdraft"), "50");
    struct answer over = transfer(world, 7, "a", TO_8("150.01"));
    cr_expect_eq(over.status, 422);
    cr_expect_str_eq(text_of(&over, "available"), "150", "what can be spent");
    struct answer sent = transfer(world, 7, "a", TO_8("150"));
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(sent.json, "balance"), "available")), "-50");
    struct answer less = change_account(world, account, "{\"overdraft\":\"49\",\"reason\":\"x\"}");
    cr_expect(less.status == 409 && strcmp(less.problem, "overdraft-in-use") == 0, "%d", less.status);
    cr_expect_eq(top_up(world, 7, "c", "{\"currency\":\"USD\",\"amount\":\"50\"}").status, 201);
    cr_expect_eq(change_account(world, account, "{\"overdraft\":\"0\",\"reason\":\"x\"}").status, 200);
    check_invariants(world);
}

Test(accounts, terms_and_movements_of_one_batch_are_stored_together)
{
    int64_t account;
    struct world *world = one_rich_user(&account);
    char id[24];
    snprintf(id, sizeof id, "%lld", (long long)account);
    struct ask asks[] = {
        { 7, "POST", "/transfers", NULL, "a", TO_8("100"), NULL },
        { 1000, "PATCH", "/admin/accounts/1", id, NULL, "{\"overdraft\":\"10\",\"reason\":\"x\"}", NULL, true },
        { 7, "POST", "/transfers", NULL, "b", TO_8("10"), NULL },
        { 8, "POST", "/transfers", NULL, "c", "{\"to_user_id\":\"7\",\"currency\":\"USD\",\"amount\":\"10\"}", NULL },
        { 1000, "PATCH", "/admin/accounts/1", id, NULL, "{\"status\":\"closed\",\"reason\":\"x\"}", NULL, true },
    };
    struct answer answers[ARRAY_LEN(asks)];
    cr_assert(command_batch(world->pg, world->outbox, asks, answers, ARRAY_LEN(asks)));
    answers_taken(answers, ARRAY_LEN(asks));
    for (size_t i = 0; i < ARRAY_LEN(asks); i++)
        cr_expect(answers[i].status == 200 || answers[i].status == 201, "%zu: %d %s", i, answers[i].status,
            answers[i].problem);
    cr_expect_eq(ask(world, "SELECT status * 100 + available FROM accounts WHERE owner_id = 7"), 300);
    check_invariants(world);
}

Test(accounts, each_change_is_told_by_an_event_and_a_refused_one_is_not)
{
    int64_t account;
    struct world *world = one_rich_user(&account);
    cr_assert_eq(change_account(world, account, FREEZE).status, 200);
    cr_assert_eq(change_account(world, account, "{\"overdraft\":\"50\",\"reason\":\"credit line\"}").status, 200);
    cr_assert_eq(change_account(world, account, "{\"status\":\"closed\",\"reason\":\"x\"}").status, 409);
    cr_assert_eq(change_account(world, 999, FREEZE).status, 404);
    cr_expect_eq(ask(world, "SELECT count(*) FROM outbox WHERE topic = 'accounts.events.v1' AND key = '7' AND type = "
                            "'penstock.ledger.v1.AccountChanged'"),
        2);
    cr_expect_eq(ask(world, "SELECT count(*) FROM outbox WHERE topic = 'accounts.events.v1'"), 2);
    Penstock__Ledger__V1__AccountChanged *told = last_event(world, &penstock__ledger__v1__account_changed__descriptor);
    cr_expect(told->account_id == (uint64_t)account && told->owner_id == 7 && told->changed_by == 1000);
    cr_expect(told->kind == PENSTOCK__LEDGER__V1__ACCOUNT_KIND__ACCOUNT_KIND_USER && told->asset_id == 1);
    cr_expect_eq(told->status, PENSTOCK__LEDGER__V1__ACCOUNT_STATUS__ACCOUNT_STATUS_FROZEN, "all terms as they are");
    cr_expect_eq(told->overdraft_minor, 5000000000);
    cr_expect_str_eq(told->asset, "USD");
    cr_expect_str_eq(told->reason, "credit line");
    cr_expect_eq(told->changed_at_us, ask(world, "SELECT (extract(epoch FROM max(changed_at)) * 1000000)::int8 FROM "
                                                 "account_changes"));
    protobuf_c_message_free_unpacked(&told->base, NULL);
}

Test(accounts, changes_that_make_no_sense_or_come_from_others_than_operators_are_refused)
{
    static const struct {
        const char *body;
        int status;
        const char *problem;
    } cases[] = {
        { "{\"reason\":\"x\"}", 400, "missing-field" },
        { "{\"status\":\"frozen\"}", 400, "missing-field" },
        { "{\"status\":\"frozen\",\"reason\":\"\"}", 422, "invalid-reason" },
        { "{\"status\":\"melted\",\"reason\":\"x\"}", 400, "unknown-value" },
        { "{\"overdraft\":\"-5\",\"reason\":\"x\"}", 422, "invalid-overdraft" },
        { "{\"owner_id\":\"5\",\"reason\":\"x\"}", 400, "unknown-field" },
    };
    int64_t account;
    struct world *world = one_rich_user(&account);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer answer = change_account(world, account, cases[i].body);
        cr_expect(answer.status == cases[i].status && strcmp(answer.problem, cases[i].problem) == 0, "%s: %d %s",
            cases[i].body, answer.status, answer.problem);
    }
    cr_expect_eq(change_account(world, 999, FREEZE).status, 404);
    int64_t funding = ask(world, "SELECT id FROM accounts WHERE kind = 2");
    cr_expect_eq(change_account(world, funding, "{\"overdraft\":\"5\",\"reason\":\"x\"}").status, 422);
    struct answer denied = command(world, (struct ask){ 7, "PATCH", "/admin/accounts/1", "1", NULL, FREEZE, NULL });
    cr_expect(denied.status == 403 && strcmp(denied.problem, "role-needed") == 0);
    cr_expect_eq(ask(world, "SELECT count(*) FROM account_changes"), 0);
}

Test(accounts, are_listed_for_their_owner_and_in_pages_for_operators)
{
    int64_t account;
    struct world *world = one_rich_user(&account);
    cr_assert_eq(change_account(world, account, FREEZE).status, 200);
    struct answer own = get(world, get_accounts, (struct ask){ .user_id = 7 });
    const json_t *row = json_array_get(json_object_get(own.json, "accounts"), 0);
    cr_expect_eq(json_array_size(json_object_get(own.json, "accounts")), 1);
    cr_expect_str_eq(json_string_value(json_object_get(row, "status")), "frozen");
    cr_expect_str_eq(json_string_value(json_object_get(row, "kind")), "user");
    cr_expect_str_eq(json_string_value(json_object_get(row, "total")), "100");
    cr_expect_eq(get(world, get_admin_accounts, (struct ask){ .user_id = 7 }).status, 403);

    struct ask admin = { .user_id = 1000, .by_operator = true };
    cr_expect_eq(json_array_size(json_object_get(get(world, get_admin_accounts, admin).json, "accounts")), 3);
    static const struct {
        const char *query;
        size_t count;
    } queries[] = { { "status=frozen", 1 }, { "kind=funding", 1 }, { "user_id=8", 1 }, { "asset=BTC", 0 },
        { "asset=XXX", 0 }, { "user_id=8&status=frozen", 0 }, { "limit=2", 2 } };
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        admin.query = queries[i].query;
        struct answer answer = get(world, get_admin_accounts, admin);
        cr_expect_eq(
            json_array_size(json_object_get(answer.json, "accounts")), queries[i].count, "%s", queries[i].query);
    }
    admin.query = "status=melted";
    cr_expect_eq(get(world, get_admin_accounts, admin).status, 400);
    struct answer assets = get(world, get_assets, (struct ask){ 0 });
    row = json_array_get(json_object_get(assets.json, "assets"), 1);
    cr_expect_str_eq(json_string_value(json_object_get(row, "class")), "crypto");
}
