/* Two-phase transfers and reversals on a real Postgres. */
#include "testing.h"

#include "chores.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(pending, .fini = world_end);
TestSuite(reversal, .fini = world_end);

#define HOLD(amount, more)                                                                                             \
    "{\"to_user_id\":\"8\",\"currency\":\"USD\",\"amount\":\"" amount "\",\"pending\":true" more "}"

/* 7 has 100 dollars, 8 has one. */
static struct world *two_users(void)
{
    struct world *world = world_new();
    cr_assert_eq(top_up(world, 7, "seed", "{\"currency\":\"USD\",\"amount\":\"100\"}").status, 201);
    cr_assert_eq(top_up(world, 8, "seed", "{\"currency\":\"USD\",\"amount\":\"1\"}").status, 201);
    return world;
}

static struct answer step(struct world *world, uint64_t user_id, const char *id, const char *what, const char *body)
{
    static int keys;
    char path[64], key[16];
    snprintf(path, sizeof path, "/transfers/%s/%s", id, what);
    snprintf(key, sizeof key, "s%d", ++keys);
    return command(world, (struct ask){ user_id, "POST", path, id, key, body, NULL });
}

static struct answer reverse(struct world *world, const char *id, bool by_operator)
{
    static int keys;
    char path[64], key[16];
    snprintf(path, sizeof path, "/ledger/journals/%s/reverse", id);
    snprintf(key, sizeof key, "r%d", ++keys);
    return command(world,
        (struct ask){ 1000, "POST", path, id, key, "{\"reference\":\"mistake\"}", NULL, .by_operator = by_operator });
}

/* "available held" of a user in cents. */
static const char *money(struct world *world, int user, char ret[48])
{
    char sql[160];
    snprintf(sql, sizeof sql, "SELECT available / 1000000 FROM accounts WHERE owner_id = %d", user);
    int64_t available = ask(world, sql);
    snprintf(sql, sizeof sql, "SELECT held / 1000000 FROM accounts WHERE owner_id = %d", user);
    snprintf(ret, 48, "%" PRId64 " %" PRId64, available, ask(world, sql));
    return ret;
}

static char *held(struct world *world, const char *key, const char *body, char ret_id[32])
{
    struct answer answer = transfer(world, 7, key, body);
    cr_assert_eq(answer.status, 201, "%s %s", answer.field, answer.message);
    cr_assert_str_eq(text_of(&answer, "status"), "pending");
    snprintf(ret_id, 32, "%s", text_of(&answer, "transfer_id"));
    return ret_id;
}

Test(pending, is_set_aside_then_posted_in_part_and_the_rest_comes_back)
{
    struct world *world = two_users();
    char id[32], text[48];
    held(world, "h", HOLD("60", ",\"reference\":\"hotel\""), id);
    cr_expect_str_eq(money(world, 7, text), "4000 6000");
    cr_expect_str_eq(money(world, 8, text), "100 0", "promised is not paid");
    check_invariants(world);
    struct answer posted = step(world, 8, id, "post", "{\"amount\":\"45.5\"}");
    cr_assert_eq(posted.status, 200, "%s", posted.message);
    cr_expect_str_eq(text_of(&posted, "status"), "posted");
    cr_expect_str_eq(text_of(&posted, "posted_amount"), "45.5");
    cr_expect_null(json_object_get(posted.json, "balance"), "what the sender has left is his business");
    cr_expect_str_eq(money(world, 7, text), "5450 0");
    cr_expect_str_eq(money(world, 8, text), "4650 0");
    struct answer again = step(world, 7, id, "post", "{}"), late = step(world, 8, id, "void", "{}");
    cr_expect(again.status == 409 && strcmp(again.problem, "transfer-not-pending") == 0, "%d", again.status);
    cr_expect_eq(late.status, 409);
    struct answer seen = get(world, get_transfer, (struct ask){ .user_id = 7, .id = id });
    cr_expect_str_eq(text_of(&seen, "posted_amount"), "45.5");
    cr_expect_eq(get(world, get_transfer, (struct ask){ .user_id = 9, .id = id }).status, 404);
    check_invariants(world);
}

Test(pending, is_given_back_by_the_recipient_not_by_the_sender)
{
    struct world *world = two_users();
    char id[32], text[48];
    held(world, "h", HOLD("60", ""), id);
    cr_expect_eq(step(world, 7, id, "void", "{}").status, 403);
    cr_expect_eq(step(world, 9, id, "void", "{}").status, 404, "a stranger does not learn that it exists");
    cr_expect_eq(step(world, 9, id, "post", "{}").status, 404);
    cr_expect_eq(step(world, 8, "999", "post", "{}").status, 404);
    cr_expect_eq(step(world, 8, id, "post", "{\"amount\":\"60.01\"}").status, 422);
    cr_expect_eq(step(world, 8, id, "post", "{\"amount\":\"0\"}").status, 422);
    cr_expect_eq(step(world, 8, id, "post", "{\"amont\":\"1\"}").status, 400);
    cr_expect_str_eq(money(world, 7, text), "4000 6000", "no refusal moved anything");
    struct answer back = step(world, 8, id, "void", "{}");
    cr_expect(back.status == 200 && strcmp(text_of(&back, "status"), "voided") == 0, "%d", back.status);
    cr_expect_str_eq(money(world, 7, text), "10000 0");
    check_invariants(world);
}

Test(pending, goes_back_by_itself_when_its_time_has_run_out)
{
    struct world *world = two_users();
    char soon[32], later[32], text[48];
    struct error e = { 0 };
    held(world, "a", HOLD("60", ",\"expires_in_s\":1"), soon);
    held(world, "b", HOLD("10", ",\"expires_in_s\":3600"), later);
    ask(world, "SELECT pg_sleep(1.1)");
    struct answer late = step(world, 8, soon, "post", "{}");
    cr_expect(
        late.status == 409 && strcmp(late.problem, "transfer-not-pending") == 0, "the time counts, not the chore");
    for (int i = 0; i < 2; i++)
        cr_assert(chores_run(world->pg, world->outbox, world_service(), now_us(), &e), "%s", e.message);
    cr_expect_str_eq(money(world, 7, text), "9000 1000");
    struct answer seen = get(world, get_transfer, (struct ask){ .user_id = 7, .id = soon });
    cr_expect_str_eq(text_of(&seen, "status"), "expired");
    struct answer open = get(world, get_transfers, (struct ask){ .user_id = 8, .query = "status=pending" });
    cr_expect_eq(json_array_size(json_object_get(open.json, "transfers")), 1);
    cr_expect_eq(
        json_array_size(json_object_get(get(world, get_transfers, (struct ask){ .user_id = 8 }).json, "transfers")), 2);
    check_invariants(world);
}

Test(pending, bad_input_is_refused_and_what_was_set_aside_before_a_freeze_can_still_be_posted)
{
    static const struct {
        const char *body;
        int status;
        const char *field;
    } cases[] = {
        { HOLD("60", ",\"expires_in_s\":0"), 422, "expires_in_s" },
        { HOLD("60", ",\"expires_in_s\":99999999"), 422, "expires_in_s" },
        { HOLD("60", ",\"expires_in_s\":\"5\""), 400, "expires_in_s" },
        { "{\"to_user_id\":\"8\",\"currency\":\"USD\",\"amount\":\"1\",\"expires_in_s\":5}", 400, "expires_in_s" },
        { "{\"to_user_id\":\"8\",\"currency\":\"USD\",\"amount\":\"1\",\"pending\":\"yes\"}", 400, "pending" },
    };
    struct world *world = two_users();
    char id[32], text[48];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer answer = transfer(world, 7, "bad", cases[i].body);
        cr_expect(answer.status == cases[i].status && strcmp(answer.field, cases[i].field) == 0, "%s: %d %s",
            cases[i].body, answer.status, answer.field);
    }
    cr_expect_eq(transfer(world, 7, "bad", HOLD("101", "")).status, 422);
    held(world, "h", HOLD("60", ""), id);
    int64_t account = ask(world, "SELECT id FROM accounts WHERE owner_id = 7");
    cr_assert_eq(change_account(world, account, "{\"status\":\"frozen\",\"reason\":\"x\"}").status, 200);
    cr_expect_eq(transfer(world, 7, "i", HOLD("1", "")).status, 422);
    cr_expect_eq(step(world, 8, id, "post", "{}").status, 200);
    cr_expect_str_eq(money(world, 8, text), "6100 0");
    check_invariants(world);
}

Test(pending, of_a_request_of_many_that_is_refused_nothing_stays_set_aside)
{
    struct world *world = two_users();
    char text[48];
    struct answer refused = command(world, (struct ask){ 7, "POST", "/transfers/batch", NULL, "k",
                                               "{\"transfers\":[" HOLD("60", "") "," HOLD("60", "") "]}", NULL });
    cr_expect_eq(refused.status, 422);
    cr_expect_str_eq(money(world, 7, text), "10000 0");
    cr_expect_eq(ask(world, "SELECT count(*) FROM pending_transfers"), 0);
    check_invariants(world);
}

Test(reversal, is_a_new_entry_linked_to_the_original_and_happens_once)
{
    struct world *world = two_users();
    char text[48], id[32];
    struct answer sent = transfer(world, 7, "t", "{\"to_user_id\":\"8\",\"currency\":\"USD\",\"amount\":\"30\"}");
    snprintf(id, sizeof id, "%s", text_of(&sent, "journal_id"));
    struct answer denied = reverse(world, id, false);
    cr_expect(denied.status == 403 && strcmp(denied.problem, "role-needed") == 0, "%d", denied.status);
    struct answer undone = reverse(world, id, true);
    cr_assert_eq(undone.status, 201, "%s", undone.message);
    cr_expect_str_eq(text_of(&undone, "reverses"), id);
    cr_expect_str_eq(text_of(&undone, "kind"), "reversal");
    cr_expect_str_eq(money(world, 7, text), "10000 0");
    struct answer again = reverse(world, id, true);
    cr_expect(again.status == 409 && strcmp(again.problem, "already-reversed") == 0, "%d", again.status);
    struct answer of_it = reverse(world, text_of(&undone, "journal_id"), true);
    cr_expect(of_it.status == 409 && strcmp(of_it.problem, "not-reversible") == 0, "%d", of_it.status);
    cr_expect_eq(reverse(world, "99999", true).status, 404);
    cr_expect_eq(reverse(world, "x", true).status, 404);
    check_invariants(world);
}

Test(reversal, gives_back_what_a_posted_hold_paid_and_is_refused_where_the_money_is_gone_or_the_engine_holds_it)
{
    struct world *world = two_users();
    char text[48], id[32];
    held(world, "h", HOLD("60", ""), id);
    cr_expect_eq(reverse(world, id, true).status, 409, "a hold is voided, not reversed");
    cr_assert_eq(step(world, 8, id, "post", "{\"amount\":\"50\"}").status, 200);
    char post[32];
    snprintf(post, sizeof post, "%" PRId64, ask(world, "SELECT id FROM journals WHERE kind = 7"));
    cr_assert_eq(transfer(world, 8, "x", "{\"to_user_id\":\"7\",\"currency\":\"USD\",\"amount\":\"2\"}").status, 201);
    struct answer gone = reverse(world, post, true);
    cr_expect(
        gone.status == 422 && strcmp(gone.problem, "insufficient-funds") == 0, "%d %s", gone.status, gone.problem);
    cr_assert_eq(transfer(world, 7, "y", "{\"to_user_id\":\"8\",\"currency\":\"USD\",\"amount\":\"2\"}").status, 201);
    cr_assert_eq(reverse(world, post, true).status, 201);
    cr_expect_str_eq(money(world, 7, text), "10000 0");
    struct answer order = place(world, 7, "o",
        "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":\"limit\",\"price\":\"10\",\"quantity\":\"1\"}");
    cr_assert_eq(order.status, 201);
    snprintf(id, sizeof id, "%" PRId64, ask(world, "SELECT id FROM journals WHERE kind = 2"));
    struct answer engine = reverse(world, id, true);
    cr_expect(engine.status == 409 && strcmp(engine.problem, "not-reversible") == 0, "%d", engine.status);
    check_invariants(world);
}
