/* Positions on a real Postgres, from entries as the engine's postings leave them. */
#include "positions.h"
#include "testing.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(positions, .fini = world_end);

/* Entries of user 9: 1 BTC topped up; 1 BTC bought at 60,000 less 0.001 fee; 0.5 sold at 70,000 less 35 fee; then ETH
 * bought with no price known. As the superuser writes them; balances after are not what is tested here. */
static struct world *world_with_trades(void)
{
    struct world *world = world_new();
    world_service()->positions = position_cache_new();
    ask(world, "INSERT INTO accounts (owner_id, kind, asset_id) VALUES (9, 1, 1), (9, 1, 2), (9, 1, 3)");
    ask(world, "INSERT INTO journals (id, kind, reference, posted_at) VALUES (1, 1, 'topup:1', now()), (2, 3, "
               "'trade:BTC-USD:1', now()), (3, 2, 'order:7', "
               "now()), (4, 3, 'trade:BTC-USD:2', now()), (5, 3, 'trade:ETH-USD:1', now())");
    ask(world,
        "INSERT INTO entries SELECT v.id, v.j, a.id, v.asset, v.d, v.h, 0, 0 FROM (VALUES "
        "(1, 1, 2, 100000000, 0), (2, 2, 2, 99900000, 0), (3, 2, 1, 0, -6000000000000), (4, 3, 2, -50000000, "
        "50000000), "
        "(5, 4, 2, 0, -50000000), (6, 4, 1, 3496500000000, 0), (7, 5, 3, 100000000, 0), (8, 5, 1, -350000000000, 0)) "
        "v(id, j, asset, d, h) JOIN accounts a ON a.owner_id = 9 AND a.asset_id = v.asset");
    return world;
}

static const char *member(const struct answer *answer, size_t index, const char *name)
{
    const char *text =
        json_string_value(json_object_get(json_array_get(json_object_get(answer->json, "positions"), index), name));
    return text ? text : "null";
}

static struct answer positions(struct world *world, uint64_t user_id)
{
    return get(world, get_positions, (struct ask){ .user_id = user_id, .query = "" });
}

static void expect_bitcoin(const struct answer *answer)
{
    static const struct {
        const char *name, *value;
    } members[] = { { "asset", "BTC" }, { "symbol", "BTC-USD" }, { "quantity", "0.499" },
        { "quantity_without_cost", "1" }, { "realised_profit", "4934.96996997" }, { "cost", "29969.96996997" },
        { "average_cost", "60060.06006006" } };
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        cr_expect_str_eq(member(answer, 0, members[i].name), members[i].value, "%s", members[i].name);
}

Test(positions, come_from_the_entries_with_fees_in_them)
{
    struct world *world = world_with_trades();
    ask(world, "INSERT INTO market_progress (market_id, last_posting_seq, last_seq, last_price_ticks) VALUES (1, 1, 1, "
               "8000000)");
    struct answer answer = positions(world, 9);
    cr_assert_eq(answer.status, 200, "%s", answer.message);
    expect_bitcoin(&answer);
    cr_expect_str_eq(member(&answer, 0, "price_source"), "last_trade");
    cr_expect_str_eq(member(&answer, 0, "value"), "39920");
    cr_expect_str_eq(member(&answer, 0, "unrealised_profit"), "9950.03003003");
    cr_expect_str_eq(member(&answer, 1, "price_source"), "reference");
    cr_expect_str_eq(member(&answer, 1, "unrealised_profit"), "0");
    struct answer again = positions(world, 9);
    expect_bitcoin(&again);
    cr_expect_eq(json_array_size(json_object_get(positions(world, 8).json, "positions")), 0, "nobody else's");
}

Test(positions, without_a_quote_say_so)
{
    struct world *world = world_with_trades();
    struct error e = { 0 };
    ask(world, "UPDATE markets SET reference_price_ticks = 0");
    cr_assert(markets_reload(world_service()->markets, world->pg, &e), "%s", e.message);
    struct answer answer = positions(world, 9);
    static const char *const absent[] = { "price", "price_source", "value", "unrealised_profit" };
    for (size_t i = 0; i < ARRAY_LEN(absent); i++)
        cr_expect_str_eq(member(&answer, 0, absent[i]), "null", "%s", absent[i]);
    expect_bitcoin(&answer);
}

Test(positions, go_on_from_what_was_computed)
{
    struct world *world = world_with_trades();
    positions(world, 9);
    ask(world, "INSERT INTO journals (id, kind, reference, posted_at) VALUES (6, 3, 'trade:BTC-USD:3', now())");
    ask(world, "INSERT INTO entries SELECT 9 + v.asset, 6, a.id, v.asset, v.d, 0, 0, 0 FROM (VALUES (2, 100000), (1, "
               "-7000000000)) v(asset, d) JOIN accounts a ON a.owner_id = 9 AND a.asset_id = v.asset");
    struct answer kept = positions(world, 9);
    cr_expect_str_eq(member(&kept, 0, "quantity"), "0.5");
    position_cache_free(world_service()->positions);
    world_service()->positions = NULL;
    struct answer fresh = positions(world, 9);
    json_object_del(kept.json, "as_of");
    json_object_del(fresh.json, "as_of");
    cr_expect(json_equal(kept.json, fresh.json), "computed anew it is the same");
}
