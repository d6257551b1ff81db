/* What the database itself does not let happen, and what the service's role may not do. */
#include "testing.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(schema, .fini = world_end);
TestSuite(markets, .fini = world_end);

static struct world *world_with_an_order(void)
{
    struct world *world = world_new();
    cr_assert_eq(top_up(world, 7, "t", "{\"currency\":\"USD\",\"amount\":\"100\"}").status, 201);
    cr_assert_eq(place(world, 7, "o",
                     "{\"symbol\":\"BTC-USD\",\"side\":\"buy\",\"type\":\"limit\",\"price\":\"1\",\"quantity\":\"1\"}")
                     .status,
        201);
    cr_assert_eq(top_up(world, 8, "t", "{\"currency\":\"USD\",\"amount\":\"1\"}").status, 201);
    cr_assert_eq(
        transfer(world, 8, "p", "{\"to_user_id\":\"7\",\"currency\":\"USD\",\"amount\":\"1\",\"pending\":true}").status,
        201);
    return world;
}

Test(schema, forbidden_changes_raise_whoever_tries)
{
    static const struct {
        const char *sql, *state;
    } cases[] = {
        { "UPDATE entries SET available_delta = 0", "EB002" },
        { "DELETE FROM entries", "EB002" },
        { "TRUNCATE entries", "EB002" },
        { "UPDATE journals SET reference = 'x'", "EB002" },
        { "DELETE FROM journals", "EB002" },
        { "TRUNCATE journals", "EB002" },
        { "UPDATE accounts SET available = -1 WHERE kind = 1", "23514" },
        { "UPDATE accounts SET status = 3 WHERE kind = 1", "23514" }, /* with money in it */
        { "UPDATE accounts SET overdraft_minor = -1", "23514" },
        { "UPDATE pending_transfers SET amount = 1", "EB003" },
        { "UPDATE pending_transfers SET status = 1", "EB003" },
        { "UPDATE pending_transfers SET status = 2", "23514" },
        { "UPDATE pending_transfers SET status = 3; UPDATE pending_transfers SET status = 4", "EB003" },
        { "UPDATE account_changes SET reason = 'x'", "EB002" },
        { "TRUNCATE account_changes", "EB002" },
        { "UPDATE assets SET class = 2 WHERE code = 'USD'", "EB003" },
        { "SET session_replication_role = origin; DELETE FROM entries", "EB002" },
        { "UPDATE accounts SET held = -1 WHERE kind = 2", "23514" },
        { "INSERT INTO accounts (owner_id, kind, asset_id) VALUES (7, 2, 1)", "23514" },
        { "INSERT INTO accounts (owner_id, kind, asset_id) VALUES (0, 1, 1)", "23514" },
        { "UPDATE orders SET price_ticks = 5", "EB003" },
        { "UPDATE orders SET quantity_lots = quantity_lots + 5", "EB003" },
        { "UPDATE orders SET held_minor = held_minor + 1", "EB003" },
        { "UPDATE orders SET filled_lots = quantity_lots", "23514" },
        { "UPDATE orders SET status = 3", "23514" },
        { "UPDATE orders SET status = 4", "23514" }, /* with money still held */
        { "UPDATE orders SET status = 4, held_minor = 0; UPDATE orders SET status = 1", "EB003" },
        { "UPDATE orders SET filled_lots = 2, status = 2; UPDATE orders SET filled_lots = 1", "EB003" },
        { "UPDATE orders SET filled_lots = 2, status = 2; UPDATE orders SET status = 1", "EB003" },
        { "UPDATE orders SET filled_lots = 1", "23514" },
        { "UPDATE orders SET status = 2", "23514" },
        { "INSERT INTO orders (id, user_id, market_id, side, type, time_in_force, post_only, price_ticks, "
          "quantity_lots, held_minor, "
          "status, created_at, updated_at) VALUES (9, 7, 1, 1, 1, 1, false, 1, 1, 0, 4, now(), now())",
            "EB003" },
        { "UPDATE markets SET tick_size = '1'", "EB003" },
        { "UPDATE markets SET lot_minor = 1", "EB003" },
        { "UPDATE assets SET scale = 2", "EB003" },
    };
    struct world *world = world_with_an_order();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char state[6];
        cr_expect_str_eq(
            sqlstate_of(world->database.admin_url, cases[i].sql, state), cases[i].state, "%s: %s", cases[i].sql, state);
    }
    check_invariants(world);
}

/* An order in a state, by the smallest change to its fills and its hold. ACCEPTED … EXPIRED are 1 … 6. */
static char *step_to(int64_t id, int status)
{
    static const char *const filled[] = {
        [1] = "0", [2] = "1", [3] = "3", [4] = "filled_lots", [5] = "0", [6] = "filled_lots"
    };
    return xasprintf("UPDATE orders SET status = %d, filled_lots = %s, held_minor = %d WHERE id = %lld;", status,
        filled[status],
        status == 1   ? 3
        : status == 2 ? 2
                      : 0,
        (long long)id);
}

Test(schema, an_order_takes_the_steps_that_are_drawn_and_no_other)
{
    static const char drawn[7][7] = {
        /* from, to: the drawing in the README */
        [1] = { [1] = 1, [2] = 1, [3] = 1, [4] = 1, [5] = 1, [6] = 1 },
        [2] = { [2] = 1, [3] = 1, [4] = 1, [6] = 1 },
        [3] = { 0 },
    };
    struct world *world = world_with_an_order();
    char state[6];
    for (int from = 1; from <= 6; from++) {
        for (int to = 1; to <= 6; to++) {
            int64_t id = 1000 + from * 10 + to;
            CLEANUP(xfree) char *there = step_to(id, from);
            CLEANUP(xfree) char *on = step_to(id, to);
            CLEANUP(xfree)
            char *sql = xasprintf("INSERT INTO orders (id, user_id, market_id, side, type, time_in_force, post_only, "
                                  "price_ticks, quantity_lots,"
                                  " held_minor, status, created_at, updated_at) VALUES (%lld, 7, 1, 1, 1, 1, false, 1, "
                                  "3, 3, 1, now(), now());"
                                  "%s%s",
                (long long)id, from == 1 ? "" : there, on);
            sqlstate_of(world->database.admin_url, sql, state);
            cr_expect_str_eq(state, drawn[from][to] ? "00000" : "EB003", "from %d to %d: %s", from, to, state);
        }
    }
}

Test(schema, the_services_role_may_do_its_work_and_nothing_more)
{
    static const char *const denied[] = {
        "UPDATE entries SET available_delta = 0",
        "DELETE FROM entries",
        "TRUNCATE journals",
        "DELETE FROM orders",
        "DELETE FROM accounts",
        "UPDATE accounts SET owner_id = 8",
        "UPDATE account_changes SET reason = 'x'",
        "DELETE FROM owners",
        "TRUNCATE entries",
        "UPDATE journals SET note = 'x'",
        "SET session_replication_role = replica",
        "UPDATE orders SET user_id = 8",
        "UPDATE orders SET side = 2",
        "UPDATE traders SET maker_fee_ppm = 0, taker_fee_ppm = 0",
        "UPDATE kill_switches SET engaged = false",
        "SELECT market_control('BTC-USD', 'halted')",
        "SELECT kill_switch(8, NULL, true)",
        "UPDATE trades SET price_ticks = 1",
        "UPDATE topups SET amount = 1",
        "INSERT INTO assets (id, code, scale) VALUES (9, 'EUR', 2)",
        "UPDATE markets SET status = 2",
        "UPDATE markets SET maker_fee_ppm = 0",
        "DELETE FROM market_progress",
        "UPDATE outbox SET topic = 'x'",
        "DELETE FROM outbox",
        "DROP TABLE orders",
        "ALTER TABLE entries DISABLE TRIGGER ALL",
        "CREATE TABLE mine (id int)",
    };
    struct world *world = world_with_an_order();
    for (size_t i = 0; i < ARRAY_LEN(denied); i++) {
        char state[6];
        cr_expect_str_eq(sqlstate_of(world->database.url, denied[i], state), "42501", "%s: %s", denied[i], state);
    }
}

/* Without it, what reads a small table whole took 25 ms. */
Test(schema, no_statement_of_the_service_is_compiled)
{
    static const char sql[] = "DO $$ BEGIN ASSERT current_setting('jit') = 'off'; END $$";
    struct world *world = world_new();
    char state[6];
    cr_expect_str_eq(sqlstate_of(world->database.url, sql, state), "00000", "%s", state);
}

Test(markets, each_change_is_published_once_to_all_who_need_it)
{
    struct world *world = world_new();
    struct error e = { 0 };
    size_t count;
    cr_expect_eq(ask(world, "SELECT count(*) FROM outbox WHERE topic = 'assets.v1'"), 3);
    cr_expect_eq(ask(world, "SELECT count(*) FROM outbox WHERE topic = 'markets.v1'"), 2);
    cr_expect_eq(ask(world, "SELECT count(*) FROM outbox WHERE topic = 'orders.accepted.v1'"), 2);
    for (int round = 0; round < 2; round++) {
        cr_assert(pg_begin(world->pg, &e) && markets_publish(world->pg, world->outbox, &count, &e) &&
                      outbox_write(world->outbox, world->pg, &e) && pg_commit(world->pg, &e),
            "%s", e.message);
        cr_expect_eq(count, round == 0 ? 0 : 1);
        ask(world, "UPDATE markets SET maker_fee_ppm = maker_fee_ppm + 10 WHERE id = 2");
    }
    cr_expect_eq(ask(world, "SELECT count(*) FROM outbox WHERE topic = 'markets.v1'"), 3);
    cr_expect_eq(ask(world, "SELECT fee_ceiling_ppm FROM markets WHERE id = 2"), 2000);
}
