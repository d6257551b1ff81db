/* Interest on a real Postgres: each day once, each month booked once, whatever was missed. */
#include "interest_run.h"
#include "testing.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(interest, .fini = world_end);

/* User 9 has 100,000 USD from 10 January and 50,000 more on the 20th; user 8 has nothing; 36.5 % from 5 January: 0.1 %
 * a day. */
static struct world *world_with_savings(void)
{
    struct world *world = world_new();
    struct error e = { 0 };
    ask(world, "INSERT INTO accounts (owner_id, kind, asset_id, available) VALUES (9, 1, 1, 15000000000000), (8, 1, 1, "
               "0), (0, 2, "
               "1, -15000000000000)");
    ask(world, "INSERT INTO journals (id, kind, reference, posted_at) VALUES (nextval('journals_id_seq'), 1, "
               "'topup:1', '2026-01-10 "
               "12:00+00'), (nextval('journals_id_seq'), 1, 'topup:2', '2026-01-20 23:59:59.999999+00')");
    ask(world,
        "INSERT INTO entries SELECT v.j * 64 + (s.sign < 0)::int, v.j, a.id, 1, v.d * s.sign, 0, v.av * s.sign, 0 FROM "
        "(VALUES (9, 1), (0, -1)) s(owner_id, sign) JOIN accounts a ON a.owner_id = s.owner_id, (VALUES (1, "
        "10000000000000, "
        "10000000000000), (2, 5000000000000, 15000000000000)) v(j, d, av)");
    ask(world, "SELECT interest_set('USD', 36.5, 'ACT/365', '2026-01-05')");
    cr_assert(markets_reload(world_service()->markets, world->pg, &e));
    return world;
}

static void run_until(struct world *world, const char *time)
{
    int64_t now_us = 0;
    bool more = true;
    cr_assert(event_time_parse(time, &now_us));
    for (int i = 0; more; i++) {
        struct error e = { 0 };
        cr_assert(
            i < 200 && interest_run(world->pg, world->outbox, world_service(), now_us, &more, &e), "%s", e.message);
    }
}

static int64_t accrued(struct world *world)
{
    return ask(world,
        "SELECT accrued_minor FROM interest_accounts i JOIN accounts a ON a.id = i.account_id WHERE owner_id = 9");
}

Test(interest, accrues_each_day_once_by_the_balance_at_its_end)
{
    struct world *world = world_with_savings();
    run_until(world, "2026-01-10T23:00:00Z");
    cr_expect_eq(accrued(world), 0, "the day has not ended");
    run_until(world, "2026-01-11T00:02:00Z");
    cr_expect_eq(accrued(world), 10000000000, "0.1 %% of 100,000");
    run_until(world, "2026-01-11T00:02:00Z");
    run_until(world, "2026-01-11T18:00:00Z");
    cr_expect_eq(accrued(world), 10000000000, "a day counts once");
    run_until(world, "2026-01-21T00:02:00Z");
    cr_expect_eq(accrued(world), 115000000000, "ten days at 100,000, and the 20th at 150,000");
    cr_expect_eq(ask(world, "SELECT count(*) FROM interest_accruals"), 11);
    cr_expect_eq(ask(world, "SELECT min(day) - date '2026-01-10' FROM interest_accruals"), 0);
    char state[6];
    cr_expect_str_eq(
        sqlstate_of(world->database.admin_url, "UPDATE interest_accruals SET accrued_minor = 0", state), "EB002");
}

Test(interest, months_that_were_missed_are_made_up_and_booked_once_each)
{
    struct world *world = world_with_savings();
    run_until(world, "2026-03-05T12:00:00Z");
    /* January 10 × 100 + 12 × 150 = 2,800; February 28 × 150 = 4,200; March so far 4 × 150, all by balances of those
     * days. */
    cr_expect_eq(ask(world, "SELECT count(*) FROM journals WHERE kind = 11"), 2);
    cr_expect_eq(
        ask(world, "SELECT available FROM accounts WHERE owner_id = 9"), 15000000000000 + 280000000000 + 420000000000);
    cr_expect_eq(
        ask(world, "SELECT available FROM accounts WHERE kind = 5 AND asset_id = 1"), -700000000000, "the house pays");
    cr_expect_eq(accrued(world), 60000000000);
    cr_expect_eq(
        ask(world,
            "SELECT count(*) FROM journals WHERE kind = 11 AND note IN ('interest 2026-01', 'interest 2026-02')"),
        2);
    run_until(world, "2026-03-05T13:00:00Z");
    cr_expect_eq(ask(world, "SELECT count(*) FROM journals WHERE kind = 11"), 2, "once");
    cr_expect_eq(
        ask(world, "SELECT count(*) FROM outbox WHERE topic = 'ledger.entries.v1'"), 4, "two owners, two months");
    cr_expect_eq(ask(world, "SELECT count(*) FROM (SELECT journal_id FROM entries GROUP BY 1 HAVING "
                            "sum(available_delta + held_delta) <> 0) x"),
        0);
    struct answer answer = get(world, get_interest, (struct ask){ .user_id = 9, .query = "" });
    json_t *usd = json_array_get(json_object_get(answer.json, "interest"), 0);
    cr_expect_str_eq(json_string_value(json_object_get(usd, "accrued")), "600");
    cr_expect_str_eq(json_string_value(json_object_get(usd, "accrued_until")), "2026-03-04");
    cr_expect_str_eq(json_string_value(json_object_get(usd, "annual_rate_percent")), "36.5");
}

Test(interest, a_rate_changes_from_its_first_day_and_not_in_the_past)
{
    struct world *world = world_with_savings();
    ask(world, "SELECT interest_set('USD', 0, 'ACT/365', '2026-01-12')");
    run_until(world, "2026-01-25T12:00:00Z");
    cr_expect_eq(accrued(world), 20000000000, "the 10th and the 11th");
    static const char *const refused[] = { "SELECT interest_set('USD', 5, 'ACT/365', '2026-01-20')",
        "SELECT interest_set('XXX', 5, 'ACT/365', '2027-01-20')",
        "SELECT interest_set('USD', 5, 'ACT/364', '2027-01-20')",
        "SELECT interest_set('USD', 5.00000001, 'ACT/365', '2027-01-20')",
        "SELECT interest_set('USD', NULL, 'ACT/365', '2027-01-20')" };
    char state[6];
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        cr_expect_str_eq(sqlstate_of(world->database.admin_url, refused[i], state), "EB004", "%s", refused[i]);
    cr_expect_str_eq(
        sqlstate_of(world->database.url, "SELECT interest_set('USD', 5, 'ACT/365', '2027-01-20')", state), "42501");
}
