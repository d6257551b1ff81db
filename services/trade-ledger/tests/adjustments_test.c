/* Manual adjustments by four eyes, on a real Postgres. */
#include "testing.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

TestSuite(adjustments, .fini = world_end);

#define REFUND(amount)                                                                                                 \
    "{\"legs\":[{\"user_id\":\"7\",\"currency\":\"USD\",\"amount\":\"" amount                                          \
    "\"},{\"account\":\"house\",\"currency\":\"USD\",\"amount\":\"-" amount "\"}],\"reference\":\"goodwill\"}"
#define CHARGE(amount)                                                                                                 \
    "{\"legs\":[{\"user_id\":\"7\",\"currency\":\"USD\",\"amount\":\"-" amount                                         \
    "\"},{\"account\":\"house\",\"currency\":\"USD\",\"amount\":\"" amount "\"}]}"

enum { MAKER = 1000, CHECKER = 1001 };

static struct world *one_user(void)
{
    struct world *world = world_new();
    cr_assert_eq(top_up(world, 7, "seed", "{\"currency\":\"USD\",\"amount\":\"100\"}").status, 201);
    return world;
}

static struct answer ask_for(struct world *world, uint64_t user, const char *path, const char *id, const char *body)
{
    static int keys;
    char key[16];
    snprintf(key, sizeof key, "a%d", ++keys);
    return command(world, (struct ask){ user, "POST", path, id, key, body, NULL, .by_operator = user >= MAKER });
}

static struct answer decide(struct world *world, uint64_t user, const char *id, const char *what)
{
    char path[64];
    snprintf(path, sizeof path, "/ledger/adjustments/%s/%s", id, what);
    return ask_for(world, user, path, id, "{\"reason\":\"seen\"}");
}

static char *proposed(struct world *world, const char *body, char ret_id[24])
{
    struct answer answer = ask_for(world, MAKER, "/ledger/adjustments", NULL, body);
    cr_assert_eq(answer.status, 201, "%s %s", answer.field, answer.message);
    cr_assert_str_eq(text_of(&answer, "status"), "proposed");
    snprintf(ret_id, 24, "%s", text_of(&answer, "adjustment_id"));
    return ret_id;
}

static int64_t dollars(struct world *world)
{
    return ask(world, "SELECT available / 100000000 FROM accounts WHERE owner_id = 7");
}

Test(adjustments, are_booked_only_when_another_operator_approves_and_once)
{
    struct world *world = one_user();
    char id[24];
    proposed(world, REFUND("10"), id);
    cr_expect_eq(dollars(world), 100, "a proposal moves nothing");
    struct answer own = decide(world, MAKER, id, "approve");
    cr_expect(own.status == 403 && strcmp(own.problem, "four-eyes") == 0, "%d %s", own.status, own.problem);
    struct answer user = decide(world, 7, id, "approve");
    cr_expect(user.status == 403 && strcmp(user.problem, "role-needed") == 0, "%d", user.status);
    struct answer approved = decide(world, CHECKER, id, "approve");
    cr_assert_eq(approved.status, 200, "%s", approved.message);
    cr_expect_str_eq(text_of(&approved, "status"), "approved");
    cr_expect_str_eq(text_of(&approved, "decided_by"), "1001");
    cr_expect_eq(dollars(world), 110);
    cr_expect_eq(
        ask(world, "SELECT count(*) FROM journals j JOIN adjustments a ON a.journal_id = j.id WHERE j.kind = 9 AND "
                   "j.reference = 'adjustment:' || a.id AND j.note = 'goodwill' AND a.decision_reason = 'seen'"),
        1);
    char query[48];
    snprintf(query, sizeof query, "reference=adjustment:%s", id);
    struct answer found = get(world, get_entries, (struct ask){ .user_id = 7, .query = query });
    cr_expect_eq(json_array_size(json_object_get(found.json, "entries")), 1, "%s finds it", query);
    struct answer again = decide(world, CHECKER, id, "approve"), late = decide(world, CHECKER, id, "reject");
    cr_expect(again.status == 409 && late.status == 409 && strcmp(late.problem, "adjustment-not-open") == 0);
    cr_expect_eq(dollars(world), 110);
    check_invariants(world);
}

Test(adjustments, that_are_rejected_are_never_booked_and_one_that_cannot_be_paid_stays_open)
{
    struct world *world = one_user();
    char id[24];
    proposed(world, CHARGE("10"), id);
    cr_expect_eq(decide(world, CHECKER, id, "reject").status, 200);
    cr_expect_eq(decide(world, CHECKER, id, "approve").status, 409);
    proposed(world, CHARGE("101"), id);
    struct answer poor = decide(world, CHECKER, id, "approve");
    cr_expect(
        poor.status == 422 && strcmp(poor.problem, "insufficient-funds") == 0, "%d %s", poor.status, poor.problem);
    cr_assert_eq(top_up(world, 7, "more", "{\"currency\":\"USD\",\"amount\":\"1\"}").status, 201);
    cr_expect_eq(decide(world, CHECKER, id, "approve").status, 200);
    cr_expect_eq(dollars(world), 0);
    cr_expect_eq(decide(world, CHECKER, "99999", "approve").status, 404);
    check_invariants(world);
}

Test(adjustments, bad_proposals_are_refused_and_the_list_is_for_operators)
{
    static const struct {
        const char *body;
        int status;
        const char *problem;
    } cases[] = {
        { "{\"legs\":[{\"user_id\":\"7\",\"currency\":\"USD\",\"amount\":\"1\"},{\"account\":\"house\",\"currency\":"
          "\"USD\",\"amount\":\"-2\"}]}",
            422, "unbalanced" },
        { "{\"legs\":[{\"user_id\":\"9\",\"currency\":\"USD\",\"amount\":\"1\"},{\"account\":\"house\",\"currency\":"
          "\"USD\",\"amount\":\"-1\"}]}",
            404, "account-not-found" },
        { "{\"legs\":[]}", 422, "out-of-range" },
        { "{}", 400, "missing-field" },
    };
    struct world *world = one_user();
    char id[24], other[24];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer answer = ask_for(world, MAKER, "/ledger/adjustments", NULL, cases[i].body);
        cr_expect(answer.status == cases[i].status && strcmp(answer.problem, cases[i].problem) == 0, "%s: %d %s",
            cases[i].body, answer.status, answer.problem);
    }
    proposed(world, REFUND("1"), id);
    proposed(world, REFUND("2"), other);
    cr_assert_eq(decide(world, CHECKER, other, "reject").status, 200);
    struct ask list = { .user_id = MAKER, .query = "status=proposed", .by_operator = true };
    struct answer open = get(world, get_adjustments, list);
    cr_expect_eq(json_array_size(json_object_get(open.json, "adjustments")), 1);
    list.query = "";
    list.id = other;
    struct answer one = get(world, get_adjustments, list);
    cr_expect_str_eq(text_of(&one, "status"), "rejected");
    cr_expect_eq(json_array_size(json_object_get(one.json, "legs")), 2);
    list.id = "777";
    cr_expect_eq(get(world, get_adjustments, list).status, 404);
    cr_expect_eq(get(world, get_adjustments, (struct ask){ .user_id = 7 }).status, 403);
}

Test(adjustments, where_journals_are_checked_nobody_books_alone)
{
    struct world *world = one_user();
    char id[24];
    world_service()->settings.manual_journals = MANUAL_JOURNALS_CHECKED;
    struct answer alone = journal(world, "k", REFUND("1"));
    cr_expect(
        alone.status == 403 && strcmp(alone.problem, "approval-needed") == 0, "%d %s", alone.status, alone.problem);
    struct answer other =
        command(world, (struct ask){ MAKER, "POST", "/transfers", NULL, "t",
                           "{\"from_account_id\":\"1\",\"to_user_id\":\"7\",\"currency\":\"USD\",\"amount\":\"1\"}",
                           NULL, .by_operator = true });
    cr_expect(
        other.status == 403 && strcmp(other.problem, "approval-needed") == 0, "%d %s", other.status, other.problem);
    proposed(world, REFUND("1"), id);
    cr_expect_eq(decide(world, CHECKER, id, "approve").status, 200);
    cr_expect_eq(dollars(world), 101);
}

static struct answer reverse(struct world *world, uint64_t user, const char *journal)
{
    char path[64];
    snprintf(path, sizeof path, "/ledger/journals/%s/reverse", journal);
    return ask_for(world, user, path, journal, "{}");
}

Test(adjustments, where_journals_are_checked_a_reversal_needs_a_second_person_too)
{
    struct world *world = one_user();
    char journal[24], body[96], id[24], other[24];
    snprintf(journal, sizeof journal, "%" PRId64, ask(world, "SELECT id FROM journals WHERE kind = 1"));
    snprintf(body, sizeof body, "{\"reverses\":\"%s\",\"reference\":\"a mistake\"}", journal);
    world_service()->settings.manual_journals = MANUAL_JOURNALS_CHECKED;
    struct answer alone = reverse(world, MAKER, journal);
    cr_expect(
        alone.status == 403 && strcmp(alone.problem, "approval-needed") == 0, "%d %s", alone.status, alone.problem);
    proposed(world, body, id);
    proposed(world, body, other);
    cr_expect_eq(dollars(world), 100, "a proposal moves nothing");
    cr_expect_eq(decide(world, MAKER, id, "approve").status, 403);
    struct answer approved = decide(world, CHECKER, id, "approve");
    cr_assert_eq(approved.status, 200, "%s", approved.message);
    cr_expect_str_eq(text_of(&approved, "reverses"), journal);
    cr_expect_eq(dollars(world), 0);
    cr_expect_eq(ask(world, "SELECT count(*) FROM journals r JOIN adjustments a ON a.journal_id = r.id WHERE r.kind = "
                            "10 AND r.reference = 'journal:' || a.reverses AND r.note = 'a mistake'"),
        1);
    struct answer twice = decide(world, CHECKER, other, "approve");
    cr_expect(
        twice.status == 409 && strcmp(twice.problem, "already-reversed") == 0, "%d %s", twice.status, twice.problem);
    cr_expect_eq(decide(world, CHECKER, other, "reject").status, 200);
    struct ask list = { .user_id = MAKER, .id = id, .query = "", .by_operator = true };
    struct answer one = get(world, get_adjustments, list);
    cr_expect_str_eq(text_of(&one, "reverses"), journal);
    cr_expect_str_eq(text_of(&one, "decided_by"), "1001");
    check_invariants(world);
}

Test(adjustments, two_of_one_batch_that_undo_the_same_journal_undo_it_once)
{
    struct world *world = one_user();
    char journal[24], body[96], ids[2][24], paths[2][64];
    snprintf(journal, sizeof journal, "%" PRId64, ask(world, "SELECT id FROM journals WHERE kind = 1"));
    snprintf(body, sizeof body, "{\"reverses\":\"%s\"}", journal);
    struct ask asks[3];
    struct answer answers[ARRAY_LEN(asks)];
    for (size_t i = 0; i < 2; i++) {
        snprintf(paths[i], sizeof paths[i], "/ledger/adjustments/%s/approve", proposed(world, body, ids[i]));
        asks[i] = (struct ask){ CHECKER, "POST", paths[i], ids[i], paths[i], "{}", NULL, .by_operator = true };
    }
    asks[2] =
        (struct ask){ CHECKER, "POST", "/ledger/journals/1/reverse", journal, "r", "{}", NULL, .by_operator = true };
    cr_assert(command_batch(world->pg, world->outbox, asks, answers, ARRAY_LEN(asks)));
    answers_taken(answers, ARRAY_LEN(asks));
    cr_expect(answers[0].status == 200 && answers[1].status == 409 && answers[2].status == 409, "%d %d %d",
        answers[0].status, answers[1].status, answers[2].status);
    cr_expect_eq(ask(world, "SELECT count(*) FROM journals WHERE kind = 10"), 1);
    check_invariants(world);
}

Test(adjustments, only_what_can_be_reversed_can_be_proposed_for_it)
{
    static const struct {
        const char *body;
        int status;
        const char *problem, *field;
    } cases[] = {
        { "{\"reverses\":\"999\"}", 404, "journal-not-found", "reverses" },
        { "{\"reverses\":\"0\"}", 400, "invalid-id", "reverses" },
        { "{\"reverses\":null}", 400, "missing-field", "reverses" },
        { "{\"reverses\":\"x\"}", 400, "invalid-id", "reverses" },
        { "{\"reverses\":1}", 400, "wrong-type", "reverses" },
        { "{\"reverses\":\"1\",\"legs\":[]}", 400, "unknown-field", "legs" },
        { "{\"reverses\":\"1\",\"effective_at\":\"2020-01-01T00:00:00Z\"}", 400, "unknown-field", "effective_at" },
    };
    struct world *world = one_user();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer answer = ask_for(world, MAKER, "/ledger/adjustments", NULL, cases[i].body);
        cr_expect(answer.status == cases[i].status && strcmp(answer.problem, cases[i].problem) == 0 &&
                      strcmp(answer.field, cases[i].field) == 0,
            "%s: %d %s %s", cases[i].body, answer.status, answer.problem, answer.field);
    }
    struct answer order = place(world, 7, "o",
        "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":\"limit\",\"price\":\"10\",\"quantity\":\"1\"}");
    cr_assert_eq(order.status, 201, "%s", order.message);
    char body[96];
    snprintf(body, sizeof body, "{\"reverses\":\"%" PRId64 "\"}", ask(world, "SELECT id FROM journals WHERE kind = 2"));
    struct answer hold = ask_for(world, MAKER, "/ledger/adjustments", NULL, body);
    cr_expect(hold.status == 409 && strcmp(hold.problem, "not-reversible") == 0, "%d %s", hold.status, hold.problem);
    cr_expect_eq(ask(world, "SELECT count(*) FROM adjustments"), 0);
}

/* Nobody's own money is anybody else's business. */
Test(adjustments, where_journals_are_checked_users_pay_as_ever)
{
    struct world *world = one_user();
    cr_assert_eq(top_up(world, 8, "seed", "{\"currency\":\"USD\",\"amount\":\"1\"}").status, 201);
    world_service()->settings.manual_journals = MANUAL_JOURNALS_CHECKED;
    struct answer paid = transfer(world, 7, "p", "{\"to_user_id\":\"8\",\"currency\":\"USD\",\"amount\":\"1\"}");
    cr_expect_eq(paid.status, 201, "%s", paid.problem);
}
