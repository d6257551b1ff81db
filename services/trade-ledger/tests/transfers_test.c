/* Transfers and operators' journals on a real Postgres. */
#include "testing.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(transfers, .fini = world_end);
TestSuite(journals, .fini = world_end);

#define TO_8(amount) "{\"to_user_id\":\"8\",\"currency\":\"USD\",\"amount\":\"" amount "\"}"

/* 7 has 100 dollars, 8 has one bitcoin, 9 has signed up. */
static struct world *two_users(void)
{
    struct world *world = world_new();
    cr_assert_eq(top_up(world, 7, "seed", "{\"currency\":\"USD\",\"amount\":\"100\"}").status, 201);
    cr_assert_eq(top_up(world, 8, "seed", "{\"currency\":\"BTC\",\"amount\":\"1\"}").status, 201);
    ask(world, "INSERT INTO owners VALUES (9)");
    return world;
}

static int64_t everything(struct world *world)
{
    return ask(world,
        "SELECT (SELECT count(*) FROM journals) + (SELECT count(*) FROM entries) + (SELECT count(*) FROM inbox) + "
        "(SELECT count(*) FROM outbox) + (SELECT coalesce(sum(available % 1000003 + held % 1000033), 0) FROM "
        "accounts)");
}

static int64_t cents(struct world *world, int user, int asset)
{
    char sql[160];
    snprintf(sql, sizeof sql,
        "SELECT available / 1000000 FROM accounts WHERE kind = 1 AND owner_id = %d AND asset_id = %d", user, asset);
    return ask(world, sql);
}

Test(transfers, move_money_and_answer_with_the_balance_and_the_journal)
{
    struct world *world = two_users();
    struct answer answer = transfer(
        world, 7, "k", "{\"to_user_id\":\"8\",\"currency\":\"USD\",\"amount\":\"12.5\",\"reference\":\"lunch\"}");
    cr_assert_eq(answer.status, 201, "%s", answer.message);
    cr_expect_str_eq(text_of(&answer, "status"), "posted");
    cr_expect_str_eq(text_of(&answer, "amount"), "12.5");
    cr_expect_str_eq(text_of(&answer, "to_user_id"), "8");
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(answer.json, "balance"), "available")), "87.5");
    cr_expect_null(json_object_get(answer.json, "to_balance"), "what the other has is not one's business");
    cr_expect_eq(cents(world, 7, 1), 8750);
    cr_expect_eq(cents(world, 8, 1), 1250, "an account was made for what came");
    cr_expect_eq(
        ask(world, "SELECT count(*) FROM journals WHERE kind = 5 AND note = 'lunch' AND cause = 'user:7 k' AND "
                   "reference = 'transfer:' || id"),
        1);
    cr_expect_eq(ask(world, "SELECT count(*) FROM outbox WHERE topic = 'ledger.entries.v1' AND key IN ('7', '8') AND "
                            "position('lunch' IN encode(payload, 'escape')) > 0"),
        2, "both are told");
    struct answer again = transfer(
        world, 7, "k", "{\"to_user_id\":\"8\",\"amount\":\"12.5\",\"currency\":\"USD\",\"reference\":\"lunch\"}");
    cr_expect(again.status == 201 && again.replayed && json_equal(again.json, answer.json));
    struct answer other = transfer(world, 7, "k", TO_8("12"));
    cr_expect(other.status == 422 && strcmp(other.problem, "idempotency-key-reused") == 0);
    check_invariants(world);
}

static const struct {
    const char *body;
    int status;
    const char *problem, *field;
} bad_transfers[] = {
    { TO_8("100.01"), 422, "", "" }, /* insufficient funds: answered with what is there */
    { TO_8("0"), 422, "invalid-amount", "amount" },
    { TO_8("-1"), 422, "invalid-amount", "amount" },
    { TO_8("0.000000001"), 422, "invalid-amount", "amount" },
    { TO_8("92233720369"), 422, "invalid-amount", "amount" },
    { TO_8("1e1"), 400, "invalid-amount", "amount" },
    { "{\"to_user_id\":\"8\",\"currency\":\"XXX\",\"amount\":\"1\"}", 422, "unknown-currency", "currency" },
    { "{\"to_user_id\":\"8\",\"currency\":\"USD\",\"amount\":1}", 400, "wrong-type", "amount" },
    { "{\"to_user_id\":\"8\",\"currency\":\"USD\"}", 400, "missing-field", "amount" },
    { "{\"currency\":\"USD\",\"amount\":\"1\"}", 400, "missing-field", "to_user_id" },
    { "{\"to_user_id\":8,\"currency\":\"USD\",\"amount\":\"1\"}", 400, "wrong-type", "to_user_id" },
    { "{\"to_user_id\":\"x\",\"currency\":\"USD\",\"amount\":\"1\"}", 400, "invalid-id", "to_user_id" },
    { "{\"to_user_id\":\"99999999999999999999\",\"currency\":\"USD\",\"amount\":\"1\"}", 400, "invalid-id",
        "to_user_id" },
    { "{\"to_user_id\":\"8\",\"to_account_id\":\"1\",\"currency\":\"USD\",\"amount\":\"1\"}", 400, "unknown-field",
        "to_account_id" },
    { "{\"to_user_id\":\"10\",\"currency\":\"USD\",\"amount\":\"1\"}", 422, "unknown-recipient", "to_user_id" },
    { "{\"to_user_id\":\"7\",\"currency\":\"USD\",\"amount\":\"1\"}", 422, "same-account", "to_user_id" },
    { "{\"to_account_id\":\"999\",\"currency\":\"USD\",\"amount\":\"1\"}", 404, "account-not-found", "to_account_id" },
    { "{\"to_account_id\":\"1\",\"currency\":\"USD\",\"amount\":\"1\"}", 404, "account-not-found", "to_account_id" },
    { "{\"to_user_id\":\"8\",\"from_account_id\":\"1\",\"currency\":\"USD\",\"amount\":\"1\"}", 404,
        "account-not-found", "from_account_id" },
    { "{\"to_user_id\":\"8\",\"currency\":\"USD\",\"amount\":\"1\",\"fee\":\"1\"}", 400, "unknown-field", "fee" },
    { "{\"to_user_id\":\"8\",\"currency\":\"USD\",\"amount\":\"1\",\"reference\":\"a\\u0007\"}", 422,
        "invalid-reference", "reference" },
};

Test(transfers, every_bad_input_is_answered_by_its_status_problem_and_field_and_changes_nothing)
{
    struct world *world = two_users();
    cr_assert_eq(ask(world, "SELECT kind FROM accounts WHERE id = 1"), 2, "the first account is the world's");
    int64_t before = everything(world);
    for (size_t i = 0; i < ARRAY_LEN(bad_transfers); i++) {
        struct answer answer = transfer(world, 7, "bad", bad_transfers[i].body);
        cr_expect(answer.status == bad_transfers[i].status && strcmp(answer.problem, bad_transfers[i].problem) == 0 &&
                      strcmp(answer.field, bad_transfers[i].field) == 0,
            "%s: %d %s %s %s", bad_transfers[i].body, answer.status, answer.problem, answer.field, answer.message);
    }
    struct answer poor = transfer(world, 7, "bad", TO_8("100.01"));
    cr_expect_str_eq(text_of(&poor, "available"), "100");
    cr_expect_str_eq(text_of(&poor, "field"), "amount");
    cr_expect_eq(everything(world), before, "something was changed by a refusal");
    cr_expect_eq(transfer(world, 7, NULL, TO_8("1")).status, 400, "a key is needed");
    cr_expect_eq(transfer(world, 7, "bad", TO_8("1")).status, 201, "a refusal does not claim the key");
    check_invariants(world);
}

Test(transfers, someone_who_has_only_signed_up_can_be_paid)
{
    struct world *world = two_users();
    cr_expect_eq(transfer(world, 7, "a", "{\"to_user_id\":\"9\",\"currency\":\"USD\",\"amount\":\"1\"}").status, 201);
    cr_expect_eq(cents(world, 9, 1), 100);
}

Test(transfers, in_a_batch_each_sees_what_the_others_moved_and_a_bad_one_fails_alone)
{
    struct world *world = two_users();
    struct ask asks[] = {
        { 7, "POST", "/transfers", NULL, "a", TO_8("60"), NULL },
        { 7, "POST", "/transfers", NULL, "b", TO_8("60"), NULL },
        { 8, "POST", "/transfers", NULL, "c", "{\"to_user_id\":\"7\",\"currency\":\"USD\",\"amount\":\"30\"}", NULL },
        { 7, "POST", "/transfers", NULL, "d", TO_8("60"), NULL },
    };
    static const int expected[] = { 201, 422, 201, 201 };
    struct answer answers[ARRAY_LEN(asks)];
    cr_assert(command_batch(world->pg, world->outbox, asks, answers, ARRAY_LEN(asks)));
    answers_taken(answers, ARRAY_LEN(asks));
    for (size_t i = 0; i < ARRAY_LEN(asks); i++)
        cr_expect_eq(answers[i].status, expected[i], "request %zu: %d", i, answers[i].status);
    cr_expect(cents(world, 7, 1) == 1000 && cents(world, 8, 1) == 9000);
    check_invariants(world);
}

#define THREE(mode, middle) "{\"mode\":\"" mode "\",\"transfers\":[" TO_8("10") "," middle "," TO_8("20") "]}"

Test(transfers, many_in_one_request_are_booked_all_or_none_or_each_alone)
{
    struct world *world = two_users();
    struct ask request = { 7, "POST", "/transfers/batch", NULL, "a", THREE("all", TO_8("80")), NULL };
    int64_t before = everything(world);
    struct answer all = command(world, request);
    cr_expect_eq(all.status, 422);
    cr_expect_str_eq(text_of(&all, "field"), "transfers[2].amount", "10 and 80 can be paid, 20 more cannot");
    cr_expect_str_eq(text_of(&all, "available"), "10");
    cr_expect_eq(everything(world), before);

    request.body = THREE("each", TO_8("80"));
    struct answer each = command(world, request);
    cr_assert_eq(each.status, 200);
    const json_t *list = json_object_get(each.json, "transfers");
    cr_expect_eq(json_integer_value(json_object_get(json_array_get(list, 0), "status")), 201);
    cr_expect_str_eq(json_string_value(json_object_get(json_array_get(list, 1), "available")), "10");
    cr_expect_eq(json_integer_value(json_object_get(json_array_get(list, 2), "status")), 422);
    cr_expect_eq(json_integer_value(json_object_get(each.json, "refused")), 1);
    cr_expect_eq(cents(world, 7, 1), 1000);
    cr_expect(command(world, request).replayed);

    request.key = "b";
    request.body = THREE("each", "{\"amount\":1}");
    cr_expect_eq(command(world, request).status, 200, "one that cannot be read fails alone too");
    request.key = "c";
    request.body = THREE("all", "{\"amount\":1}");
    struct answer unread = command(world, request);
    cr_expect(
        unread.status == 400 && strncmp(unread.field, "transfers[1]", 12) == 0, "%d %s", unread.status, unread.field);
    request.body = "{\"transfers\":[]}";
    cr_expect_eq(command(world, request).status, 422);
    request.body = "{\"transfers\":[7],\"mode\":\"some\"}";
    cr_expect_eq(command(world, request).status, 400);
    check_invariants(world);
}

#define JOURNAL(legs, more) "{\"legs\":[" legs "]" more "}"
#define LEG(who, amount)    "{" who ",\"currency\":\"USD\",\"amount\":\"" amount "\"}"

Test(journals, an_operator_books_any_legs_that_sum_to_zero_also_into_the_past)
{
    struct world *world = two_users();
    struct answer answer = journal(world, "a",
        JOURNAL(
            LEG("\"user_id\":\"7\"", "-5") "," LEG("\"account\":\"fees\"", "2") "," LEG("\"account\":\"house\"", "3"),
            ",\"reference\":\"monthly fee\",\"effective_at\":\"2020-01-31T12:00:00Z\""));
    cr_assert_eq(answer.status, 201, "%s %s", answer.field, answer.message);
    cr_expect_eq(json_array_size(json_object_get(answer.json, "entries")), 3);
    cr_expect_str_eq(text_of(&answer, "effective_at"), "2020-01-31T12:00:00.000000Z");
    cr_expect_eq(cents(world, 7, 1), 9500);
    cr_expect_eq(
        ask(world, "SELECT count(*) FROM journals WHERE kind = 9 AND effective_at = '2020-01-31 12:00:00Z' AND "
                   "posted_at > '2024-01-01' AND cause = 'user:1000 a'"),
        1);
    check_invariants(world);
}

Test(journals, what_is_wrong_is_refused_and_only_operators_may)
{
    static const struct {
        const char *body;
        int status;
        const char *problem, *field;
    } cases[] = {
        { JOURNAL(LEG("\"user_id\":\"7\"", "-5") "," LEG("\"account\":\"fees\"", "4"), ""), 422, "unbalanced", "legs" },
        { JOURNAL(LEG("\"user_id\":\"7\"", "-101") "," LEG("\"account\":\"fees\"", "101"), ""), 422,
            "insufficient-funds", "" },
        { JOURNAL(LEG("\"user_id\":\"7\"", "-5"), ""), 422, "out-of-range", "legs" },
        { JOURNAL(LEG("\"user_id\":\"10\"", "5") "," LEG("\"account\":\"fees\"", "-5"), ""), 404, "account-not-found",
            "legs[0].account_id" },
        { JOURNAL(LEG("\"user_id\":\"7\"", "x") "," LEG("\"account\":\"fees\"", "5"), ""), 400, "invalid-amount",
            "legs[0].amount" },
        { JOURNAL(LEG("\"account\":\"user\"", "-5") "," LEG("\"account\":\"fees\"", "5"), ""), 400, "unknown-value",
            "legs[0].account" },
        { JOURNAL(LEG("\"account\":\"fees\",\"user_id\":\"7\"", "-5") "," LEG("\"account\":\"fees\"", "5"), ""), 400,
            "missing-field", "legs[0].account_id" },
        { JOURNAL(LEG("\"user_id\":\"7\"", "-5") "," LEG("\"account\":\"fees\"", "5"),
              ",\"effective_at\":\"2999-01-01T00:00:00Z\""),
            422, "invalid-time", "effective_at" },
        { JOURNAL(LEG("\"user_id\":\"7\"", "-5") "," LEG("\"account\":\"fees\"", "5"), ",\"effective_at\":\"soon\""),
            400, "invalid-time", "effective_at" },
    };
    struct world *world = two_users();
    int64_t before = everything(world);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer answer = journal(world, "bad", cases[i].body);
        cr_expect(answer.status == cases[i].status && strcmp(answer.problem, cases[i].problem) == 0 &&
                      strcmp(answer.field, cases[i].field) == 0,
            "%s: %d %s %s %s", cases[i].body, answer.status, answer.problem, answer.field, answer.message);
    }
    const char *good = JOURNAL(LEG("\"user_id\":\"7\"", "-5") "," LEG("\"account\":\"fees\"", "5"), "");
    struct answer denied = command(world, (struct ask){ 7, "POST", "/ledger/journals", NULL, "k", good, NULL });
    cr_expect(denied.status == 403 && strcmp(denied.problem, "role-needed") == 0, "%d", denied.status);
    cr_expect_eq(everything(world), before);
    check_invariants(world);
}

Test(journals, a_request_of_many_is_one_transaction)
{
    struct world *world = two_users();
    const char *one = JOURNAL(LEG("\"user_id\":\"7\"", "-60") "," LEG("\"account\":\"fees\"", "60"), "");
    char body[1024];
    struct ask request = { 1000, "POST", "/ledger/journals/batch", NULL, "a", body, NULL, .by_operator = true };
    snprintf(body, sizeof body, "{\"journals\":[%s,%s]}", one, one);
    struct answer all = command(world, request);
    cr_expect(all.status == 422 && strcmp(all.field, "journals[1]") == 0, "%d %s", all.status, all.field);
    cr_expect_eq(cents(world, 7, 1), 10000);
    snprintf(body, sizeof body, "{\"mode\":\"each\",\"journals\":[%s,%s]}", one, one);
    cr_expect_eq(command(world, request).status, 200);
    cr_expect_eq(cents(world, 7, 1), 4000);
    check_invariants(world);
}
