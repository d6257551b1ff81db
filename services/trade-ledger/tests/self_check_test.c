/* The self-check on a real Postgres: says nothing of a ledger that is right, and finds each way of tampering with it.
 */
#include "self_check.h"
#include "testing.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NINTH "(SELECT id FROM entries ORDER BY id OFFSET 8 LIMIT 1)"

TestSuite(self_check, .fini = world_end);

enum { ACCOUNTS_A_STEP = 4, ENTRIES_A_STEP = 20, PASS_STEPS_MAX = 8 };

static struct world *world_with_money(void)
{
    struct world *world = world_new();
    char key[16];
    for (uint64_t user = 1; user <= 10; user++) {
        for (int i = 0; i < 4; i++) {
            snprintf(key, sizeof key, "t%d", i);
            cr_assert_eq(top_up(world, user, key, "{\"currency\":\"USD\",\"amount\":\"5\"}").status, 201);
        }
        cr_assert_eq(
            place(world, user, "o",
                "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":\"limit\",\"price\":\"1\",\"quantity\":\"1\"}")
                .status,
            201);
    }
    world_service()->settings.self_check_accounts_per_second = ACCOUNTS_A_STEP;
    world_service()->settings.self_check_entries_per_second = ENTRIES_A_STEP;
    return world;
}

/* As many steps as a pass over all that there is can take. */
static void whole_pass(struct world *world)
{
    for (int i = 0; i < PASS_STEPS_MAX; i++) {
        struct error e = { 0 };
        cr_assert(self_check_step(world->pg, world_service(), &e), "%s", e.message);
    }
}

/* Behind every trigger's back. */
static void tamper(struct world *world, const char *sql)
{
    char text[512];
    snprintf(text, sizeof text, "SET session_replication_role = replica; %s; SELECT 0", sql);
    ask(world, text);
}

Test(self_check, finds_nothing_in_a_ledger_that_is_right)
{
    struct world *world = world_with_money();
    char reason[160] = "";
    whole_pass(world);
    cr_expect_eq(ask(world, "SELECT count(*) FROM self_check_differences"), 0);
    cr_expect(self_check_healthy(world_service(), reason, sizeof reason));
    cr_expect(ask(world, "SELECT least(balances_pass, entries_pass, journals_pass) FROM self_check") >= 2,
        "a whole pass has been made of each");
}

Test(self_check, finds_each_way_of_tampering_and_forgets_what_is_mended)
{
    static const struct {
        const char *what, *tamper, *mend;
        const char *found;
    } cases[] = {
        { "a balance", "UPDATE accounts SET available = available + 1 WHERE owner_id = 7",
            "UPDATE accounts SET available = available - 1 WHERE owner_id = 7",
            "SELECT count(*) FROM self_check_differences d JOIN accounts a ON a.id = d.subject_id WHERE d.kind = 1 AND "
            "a.owner_id = 7" },
        { "what is held", "UPDATE accounts SET held = held + 1, available = available - 1 WHERE owner_id = 8",
            "UPDATE accounts SET held = held - 1, available = available + 1 WHERE owner_id = 8",
            "SELECT count(*) FROM self_check_differences WHERE kind = 1" },
        { "a sum over an asset", "UPDATE accounts SET available = available + 1 WHERE owner_id = 7",
            "UPDATE accounts SET available = available - 1 WHERE owner_id = 7",
            "SELECT count(*) FROM self_check_differences WHERE kind = 4 AND subject_id = 1" },
        { "a movement", "UPDATE entries SET available_delta = available_delta + 1 WHERE id = " NINTH,
            "UPDATE entries SET available_delta = available_delta - 1 WHERE id = " NINTH,
            "SELECT count(*) FROM self_check_differences WHERE kind = 2 AND subject_id = " NINTH },
        { "a journal", "UPDATE entries SET available_delta = available_delta + 1 WHERE id = " NINTH,
            "UPDATE entries SET available_delta = available_delta - 1 WHERE id = " NINTH,
            "SELECT count(*) FROM self_check_differences WHERE kind = 3" },
        { "what an entry left", "UPDATE entries SET held_after = held_after + 1 WHERE id = " NINTH,
            "UPDATE entries SET held_after = held_after - 1 WHERE id = " NINTH,
            "SELECT count(*) FROM self_check_differences WHERE kind = 2" },
        { "an entry that is gone", "UPDATE entries SET account_id = -account_id WHERE id = " NINTH,
            "UPDATE entries SET account_id = -account_id WHERE id = " NINTH,
            "SELECT count(*) FROM self_check_differences WHERE kind IN (1, 2)" },
        { "balance and entry alike",
            "UPDATE accounts SET available = available + 1 WHERE owner_id = 7; UPDATE entries SET available_after = "
            "available_after + 1 WHERE id = (SELECT max(e.id) FROM entries e JOIN accounts a ON a.id = e.account_id "
            "WHERE "
            "owner_id = 7)",
            "UPDATE accounts SET available = available - 1 WHERE owner_id = 7; UPDATE entries SET available_after = "
            "available_after - 1 WHERE id = (SELECT max(e.id) FROM entries e JOIN accounts a ON a.id = e.account_id "
            "WHERE "
            "owner_id = 7)",
            "SELECT count(*) FROM self_check_differences WHERE kind IN (2, 4)" },
    };
    struct world *world = world_with_money();
    whole_pass(world);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char reason[160] = "";
        tamper(world, cases[i].tamper);
        whole_pass(world);
        cr_expect(ask(world, cases[i].found) > 0, "%s was not found", cases[i].what);
        cr_expect(!self_check_healthy(world_service(), reason, sizeof reason) && strstr(reason, "differences"));
        tamper(world, cases[i].mend);
        whole_pass(world);
        whole_pass(world);
        cr_expect_eq(
            ask(world, "SELECT count(*) FROM self_check_differences"), 0, "%s was not forgotten", cases[i].what);
        cr_expect(self_check_healthy(world_service(), reason, sizeof reason));
    }
}

Test(self_check, goes_on_where_it_was_after_a_restart_and_leaves_the_work_to_one_process)
{
    struct world *world = world_with_money();
    struct error e = { 0 };
    cr_assert(self_check_step(world->pg, world_service(), &e), "%s", e.message);
    int64_t at = ask(world, "SELECT account_id FROM self_check");
    cr_expect(at > 0);
    struct pg *other = world_connect(world);
    cr_assert(pg_begin(other, &e));
    static const struct pg_statement lock = { "test_lock", "SELECT account_id FROM self_check FOR UPDATE" };
    cr_assert(pg_query(other, &lock, NULL, &e));
    cr_assert(self_check_step(world->pg, world_service(), &e), "it does not wait for the other");
    cr_expect_eq(ask(world, "SELECT account_id FROM self_check"), at);
    pg_rollback(other);
    cr_assert(self_check_step(world->pg, world_service(), &e), "%s", e.message);
    cr_expect(ask(world, "SELECT account_id FROM self_check") > at);
}
