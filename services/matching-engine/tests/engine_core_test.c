/* Hand-written cases: the records and the book after every message. */
#include "script.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define SCRIPT(name, ...)                                                                                              \
    Test(engine_core, name)                                                                                            \
    {                                                                                                                  \
        script_run((const struct script_step[]){ __VA_ARGS__, { NULL } });                                             \
    }

SCRIPT(rests_a_limit_order_that_does_not_cross, { "buy 1 u1 5@100", "open 1 5@100; book b100:5/1", "100:1x5 |" },
    { "sell 2 u2 3@101", "open 2 3@101; book a101:3/1", "100:1x5 | 101:2x3" })

SCRIPT(trades_at_the_makers_price_and_rests_the_remainder_as_the_new_touch,
    { "sell 1 u1 3@100", "open 1 3@100; book a100:3/1", "| 100:1x3" },
    { "buy 2 u2 5@102", "fill 3@100 m1 t2; open 2 2@102; post 1; book a100:0/0 b102:2/1", "102:2x2 |" })

SCRIPT(serves_a_level_in_order_of_arrival, { "buy 1 u1 2@100", "open 1 2@100; book b100:2/1", "100:1x2 |" },
    { "buy 2 u2 2@100", "open 2 2@100; book b100:4/2", "100:1x2,2x2 |" },
    { "buy 3 u3 2@101", "open 3 2@101; book b101:2/1", "101:3x2 100:1x2,2x2 |" },
    { "sell 4 u4 5@100", "fill 2@101 m3 t4; fill 2@100 m1 t4; fill 1@100 m2 t4; post 3; book b101:0/0 b100:1/1",
        "100:2x1 |" })

SCRIPT(cancels_the_head_of_a_queue_then_sweeps, { "sell 1 u1 1@100", "open 1 1@100; book a100:1/1", "| 100:1x1" },
    { "sell 2 u2 2@100", "open 2 2@100; book a100:3/2", "| 100:1x1,2x2" },
    { "sell 3 u3 3@100", "open 3 3@100; book a100:6/3", "| 100:1x1,2x2,3x3" },
    { "cancel 1 u1", "close 1 1 requested; post 1; book a100:5/2", "| 100:2x2,3x3" },
    { "buy 4 u4 5@100", "fill 2@100 m2 t4; fill 3@100 m3 t4; post 2; book a100:0/0", "|" })

SCRIPT(cancels_the_middle_of_a_queue_then_sweeps, { "sell 1 u1 1@100", "open 1 1@100; book a100:1/1", "| 100:1x1" },
    { "sell 2 u2 2@100", "open 2 2@100; book a100:3/2", "| 100:1x1,2x2" },
    { "sell 3 u3 3@100", "open 3 3@100; book a100:6/3", "| 100:1x1,2x2,3x3" },
    { "cancel 2 u2", "close 2 2 requested; post 1; book a100:4/2", "| 100:1x1,3x3" },
    { "buy 4 u4 5@100", "fill 1@100 m1 t4; fill 3@100 m3 t4; open 4 1@100; post 2; book a100:0/0 b100:1/1",
        "100:4x1 |" })

SCRIPT(cancels_the_tail_of_a_queue_then_sweeps, { "sell 1 u1 1@100", "open 1 1@100; book a100:1/1", "| 100:1x1" },
    { "sell 2 u2 2@100", "open 2 2@100; book a100:3/2", "| 100:1x1,2x2" },
    { "sell 3 u3 3@100", "open 3 3@100; book a100:6/3", "| 100:1x1,2x2,3x3" },
    { "cancel 3 u3", "close 3 3 requested; post 1; book a100:3/2", "| 100:1x1,2x2" },
    { "sell 5 u5 1@100", "open 5 1@100; book a100:4/3", "| 100:1x1,2x2,5x1" },
    { "buy 4 u4 4@100", "fill 1@100 m1 t4; fill 2@100 m2 t4; fill 1@100 m5 t4; post 3; book a100:0/0", "|" })

SCRIPT(stops_a_sweep_exactly_at_the_boundary_of_a_level,
    { "sell 1 u1 1@100", "open 1 1@100; book a100:1/1", "| 100:1x1" },
    { "sell 2 u2 2@101", "open 2 2@101; book a101:2/1", "| 100:1x1 101:2x2" },
    { "sell 3 u3 3@102", "open 3 3@102; book a102:3/1", "| 100:1x1 101:2x2 102:3x3" },
    { "buy 4 u4 3@102", "fill 1@100 m1 t4; fill 2@101 m2 t4; post 2; book a100:0/0 a101:0/0", "| 102:3x3" })

SCRIPT(stops_a_marketable_limit_at_its_own_price, { "sell 1 u1 1@100", "open 1 1@100; book a100:1/1", "| 100:1x1" },
    { "sell 2 u2 1@101", "open 2 1@101; book a101:1/1", "| 100:1x1 101:2x1" },
    { "sell 3 u3 1@102", "open 3 1@102; book a102:1/1", "| 100:1x1 101:2x1 102:3x1" },
    { "buy 4 u4 9@101", "fill 1@100 m1 t4; fill 1@101 m2 t4; open 4 7@101; post 2; book a100:0/0 a101:0/0 b101:7/1",
        "101:4x7 | 102:3x1" })

SCRIPT(leaves_no_phantom_price_when_the_best_level_is_cancelled,
    { "buy 1 u1 1@100", "open 1 1@100; book b100:1/1", "100:1x1 |" },
    { "buy 2 u2 1@90", "open 2 1@90; book b90:1/1", "100:1x1 90:2x1 |" },
    { "cancel 1 u1", "close 1 1 requested; post 1; book b100:0/0", "90:2x1 |" },
    { "sell 3 u3 1@95", "open 3 1@95; book a95:1/1", "90:2x1 | 95:3x1" },
    { "sell 4 u4 1@90", "fill 1@90 m2 t4; post 1; book b90:0/0", "| 95:3x1" })

SCRIPT(rejects_a_stale_cancel, { "sell 1 u1 1@100", "open 1 1@100; book a100:1/1", "| 100:1x1" },
    { "buy 2 u2 1@100", "fill 1@100 m1 t2; post 1; book a100:0/0", "|" }, { "cancel 1 u1", "nocancel 1 gone", "|" },
    { "cancel 2 u2", "nocancel 2 gone", "|" }, { "sell 3 u1 1@100", "open 3 1@100; book a100:1/1", "| 100:3x1" },
    { "cancel 3 u1", "close 3 1 requested; post 1; book a100:0/0", "|" }, { "cancel 3 u1", "nocancel 3 gone", "|" })

SCRIPT(rejects_the_cancel_of_another_users_order, { "sell 1 u1 1@100", "open 1 1@100; book a100:1/1", "| 100:1x1" },
    { "cancel 1 u2", "nocancel 1 foreign", "| 100:1x1" })

SCRIPT(takes_an_id_again_after_cancel_and_after_fill, { "sell 1 u1 1@100", "open 1 1@100; book a100:1/1", "| 100:1x1" },
    { "cancel 1 u1", "close 1 1 requested; post 1; book a100:0/0", "|" },
    { "sell 1 u1 2@101", "open 1 2@101; book a101:2/1", "| 101:1x2" },
    { "buy 2 u2 2@101", "fill 2@101 m1 t2; post 1; book a101:0/0", "|" },
    { "buy 1 u1 4@99", "open 1 4@99; book b99:4/1", "99:1x4 |" },
    { "cancel 1 u1", "close 1 4 requested; post 1; book b99:0/0", "|" })

SCRIPT(releases_only_what_a_partly_filled_order_has_left,
    { "buy 1 u1 5@100", "open 1 5@100; book b100:5/1", "100:1x5 |" },
    { "sell 2 u2 2@100", "fill 2@100 m1 t2; post 1; book b100:3/1", "100:1x3 |" },
    { "cancel 1 u1", "close 1 3 requested; post 1; book b100:0/0", "|" })

SCRIPT(never_rests_an_ioc_order, { "buy 1 u1 5@100 ioc", "close 1 5 ioc; post 1", "|" },
    { "sell 2 u2 2@100", "open 2 2@100; book a100:2/1", "| 100:2x2" },
    { "buy 3 u3 5@100 ioc", "fill 2@100 m2 t3; close 3 3 ioc; post 2; book a100:0/0", "|" })

SCRIPT(takes_a_market_order_as_ioc_up_to_its_protection_price,
    { "sell 1 u1 1@100", "open 1 1@100; book a100:1/1", "| 100:1x1" },
    { "sell 2 u2 1@110", "open 2 1@110; book a110:1/1", "| 100:1x1 110:2x1" },
    { "buy 3 u3 2@105 market ioc", "fill 1@100 m1 t3; close 3 1 ioc; post 2; book a100:0/0", "| 110:2x1" })

SCRIPT(fills_a_fok_order_whole_or_not_at_all, { "sell 1 u1 1@100", "open 1 1@100; book a100:1/1", "| 100:1x1" },
    { "sell 2 u2 1@101", "open 2 1@101; book a101:1/1", "| 100:1x1 101:2x1" },
    { "sell 3 u3 1@103", "open 3 1@103; book a103:1/1", "| 100:1x1 101:2x1 103:3x1" },
    { "buy 4 u4 3@102 fok", "close 4 3 fok; post 1", "| 100:1x1 101:2x1 103:3x1" },
    { "buy 5 u5 2@102 fok", "fill 1@100 m1 t5; fill 1@101 m2 t5; post 2; book a100:0/0 a101:0/0", "| 103:3x1" })

SCRIPT(kills_a_fok_order_that_would_reach_the_users_own_order,
    { "sell 1 u1 1@100", "open 1 1@100; book a100:1/1", "| 100:1x1" },
    { "sell 2 u4 1@100", "open 2 1@100; book a100:2/2", "| 100:1x1,2x1" },
    { "sell 3 u3 1@100", "open 3 1@100; book a100:3/3", "| 100:1x1,2x1,3x1" },
    { "buy 4 u4 3@100 fok", "close 4 3 fok; post 1", "| 100:1x1,2x1,3x1" },
    { "buy 5 u4 1@100 fok", "fill 1@100 m1 t5; post 1; book a100:2/2", "| 100:2x1,3x1" })

SCRIPT(rejects_a_post_only_order_that_would_cross, { "sell 1 u1 1@100", "open 1 1@100; book a100:1/1", "| 100:1x1" },
    { "buy 2 u2 1@100 post", "refuse 2 1 would-cross; post 1", "| 100:1x1" },
    { "buy 3 u2 1@99 post", "open 3 1@99; book b99:1/1", "99:3x1 | 100:1x1" })

SCRIPT(cancels_the_newer_order_of_a_self_trade, { "sell 1 u1 1@100", "open 1 1@100; book a100:1/1", "| 100:1x1" },
    { "sell 2 u2 1@100", "open 2 1@100; book a100:2/2", "| 100:1x1,2x1" },
    { "sell 3 u3 1@101", "open 3 1@101; book a101:1/1", "| 100:1x1,2x1 101:3x1" },
    { "buy 4 u2 3@101", "fill 1@100 m1 t4; close 4 2 self-trade; post 2; book a100:1/1", "| 100:2x1 101:3x1" },
    { "buy 5 u2 1@100", "close 5 1 self-trade; post 1", "| 100:2x1 101:3x1" })

SCRIPT(refuses_what_it_does_not_honour, { "buy 1 u1 1@100 market", "refuse 1 1 unsupported; post 1", "|" },
    { "buy 2 u1 1@100 market gtd=900", "refuse 2 1 unsupported; post 1", "|" },
    { "buy 3 u1 1@100 post ioc", "refuse 3 1 unsupported; post 1", "|" },
    { "buy 4 u1 1@100 post fok", "refuse 4 1 unsupported; post 1", "|" },
    { "buy 5 u1 1@100 slide ioc", "refuse 5 1 unsupported; post 1", "|" },
    { "buy 6 u1 1@100 market ioc post", "refuse 6 1 unsupported; post 1", "|" },
    { "buy 7 u1 1@100 post stop=100", "refuse 7 1 unsupported; post 1", "|" },
    { "buy 8 u1 5@100 show=2 ioc", "refuse 8 5 unsupported; post 1", "|" },
    { "buy 9 u1 5@100 show=2 fok", "refuse 9 5 unsupported; post 1", "|" },
    { "buy 10 u1 5@100 market ioc show=2", "refuse 10 5 unsupported; post 1", "|" },
    { "buy 11 u1 5@100 stop=100 show=2", "refuse 11 5 unsupported; post 1", "|" })

SCRIPT(accepts_nothing_but_cancels_while_halted, { "buy 1 u1 1@100", "open 1 1@100; book b100:1/1", "100:1x1 |" },
    { "halt", "", "100:1x1 |" }, { "sell 2 u2 1@100", "refuse 2 1 market-closed; post 1", "100:1x1 |" },
    { "cancel-only", "", "100:1x1 |" }, { "sell 3 u2 1@100", "refuse 3 1 market-closed; post 1", "100:1x1 |" },
    { "cancel 1 u1", "close 1 1 requested; post 1; book b100:0/0", "|" }, { "open", "", "|" },
    { "sell 4 u2 1@100", "open 4 1@100; book a100:1/1", "| 100:4x1" })

SCRIPT(trades_at_the_edges_of_the_price_range,
    { "sell 1 u1 1@9223372036854775807", "open 1 1@9223372036854775807; book a9223372036854775807:1/1",
        "| 9223372036854775807:1x1" },
    { "sell 2 u1 1@9223372036854775806", "open 2 1@9223372036854775806; book a9223372036854775806:1/1",
        "| 9223372036854775806:2x1 9223372036854775807:1x1" },
    { "buy 3 u2 1@1", "open 3 1@1; book b1:1/1", "1:3x1 | 9223372036854775806:2x1 9223372036854775807:1x1" },
    { "buy 4 u2 7@2", "open 4 7@2; book b2:7/1", "2:4x7 1:3x1 | 9223372036854775806:2x1 9223372036854775807:1x1" },
    { "buy 5 u3 1@9223372036854775807", "fill 1@9223372036854775806 m2 t5; post 1; book a9223372036854775806:0/0",
        "2:4x7 1:3x1 | 9223372036854775807:1x1" },
    { "buy 6 u3 1@9223372036854775807", "fill 1@9223372036854775807 m1 t6; post 1; book a9223372036854775807:0/0",
        "2:4x7 1:3x1 |" },
    { "sell 7 u3 8@1", "fill 7@2 m4 t7; fill 1@1 m3 t7; post 2; book b2:0/0 b1:0/0", "|" })

SCRIPT(finds_the_next_price_over_empty_millions_of_ticks,
    { "sell 1 u1 1@10000000", "open 1 1@10000000; book a10000000:1/1", "| 10000000:1x1" },
    { "sell 2 u1 1@5000063", "open 2 1@5000063; book a5000063:1/1", "| 5000063:2x1 10000000:1x1" },
    { "sell 3 u1 1@5000064", "open 3 1@5000064; book a5000064:1/1", "| 5000063:2x1 5000064:3x1 10000000:1x1" },
    { "sell 4 u1 1@70", "open 4 1@70; book a70:1/1", "| 70:4x1 5000063:2x1 5000064:3x1 10000000:1x1" },
    { "buy 5 u2 3@9999999",
        "fill 1@70 m4 t5; fill 1@5000063 m2 t5; fill 1@5000064 m3 t5; post 3; book a70:0/0 a5000063:0/0 a5000064:0/0",
        "| 10000000:1x1" },
    { "buy 6 u2 1@64", "open 6 1@64; book b64:1/1", "64:6x1 | 10000000:1x1" },
    { "buy 7 u2 1@63", "open 7 1@63; book b63:1/1", "64:6x1 63:7x1 | 10000000:1x1" },
    { "buy 8 u2 1@4194304", "open 8 1@4194304; book b4194304:1/1", "4194304:8x1 64:6x1 63:7x1 | 10000000:1x1" },
    { "sell 9 u1 3@1",
        "fill 1@4194304 m8 t9; fill 1@64 m6 t9; fill 1@63 m7 t9; post 3; book b4194304:0/0 b64:0/0 b63:0/0",
        "| 10000000:1x1" })

enum { SWEEP_ORDERS = 5000, SWEEP_LEVELS = 100, SWEEP_TEXT_MAX = 1 << 18 };

/* Level by level, each in order of arrival; every thousand fills are a group of their own; then the levels. */
static void write_sweep(char *text)
{
    const char *separator = "";
    for (int fill = 0; fill < SWEEP_ORDERS; fill++, separator = "; ") {
        int level = fill / (SWEEP_ORDERS / SWEEP_LEVELS);
        int maker = fill % (SWEEP_ORDERS / SWEEP_LEVELS) * SWEEP_LEVELS + level + 1;
        text += sprintf(text, "%sfill 2@%d m%d t9000", separator, 1000 + level, maker);
        if (fill % ENGINE_POSTINGS_MAX == ENGINE_POSTINGS_MAX - 1)
            text += sprintf(text, "; post %d", ENGINE_POSTINGS_MAX);
    }
    text += sprintf(text, "; book");
    for (int level = 0; level < SWEEP_LEVELS; level++)
        text += sprintf(text, " a%d:0/0", 1000 + level);
}

Test(engine_core, sweeps_five_thousand_orders_over_a_hundred_levels)
{
    static char due[SWEEP_TEXT_MAX];
    CLEANUP(script_free) struct script *script = script_new(6000, 6000);
    char text[64];
    for (int i = 0; i < SWEEP_ORDERS; i++) {
        snprintf(text, sizeof text, "sell %d u%d 2@%d", i + 1, i % 7 + 1, 1000 + i % SWEEP_LEVELS);
        script_command(script, text);
    }
    write_sweep(due);
    script_step(script, &(struct script_step){ "buy 9000 u9 10000@1099", due, "|" });
    cr_assert(engine_market_get(script_engine(script), 0)->trade_id == SWEEP_ORDERS);
}

Test(engine_core, tells_when_the_limit_of_resting_orders_is_reached)
{
    CLEANUP(script_free) struct script *script = script_new(2, 2);
    static const struct script_step steps[] = {
        { "buy 1 u1 1@100", "open 1 1@100; book b100:1/1", "100:1x1 |" },
        { "buy 2 u1 1@100", "open 2 1@100; book b100:2/2", "100:1x1,2x1 |" },
        { "buy 3 u1 1@100", "refuse 3 1 book-full; post 1", "100:1x1,2x1 |" },
        { "sell 4 u2 3@100", "fill 1@100 m1 t4; fill 1@100 m2 t4; open 4 1@100; post 2; book b100:0/0 a100:1/1",
            "| 100:4x1" },
        { "sell 5 u2 1@9000", "open 5 1@9000; book a9000:1/1", "| 100:4x1 9000:5x1" },
        { "buy 6 u1 1@99", "refuse 6 1 book-full; post 1", "| 100:4x1 9000:5x1" },
        { "cancel 4 u2", "close 4 1 requested; post 1; book a100:0/0", "| 9000:5x1" },
        { "buy 7 u1 1@99", "open 7 1@99; book b99:1/1", "99:7x1 | 9000:5x1" },
    };
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        script_step(script, &steps[i]);
}

Test(engine_core, cancels_what_cannot_rest_for_want_of_pages_when_it_has_traded)
{
    CLEANUP(script_free) struct script *script = script_new(10, 2);
    static const struct script_step steps[] = {
        { "sell 1 u1 1@100", "open 1 1@100; book a100:1/1", "| 100:1x1" },
        { "sell 2 u1 1@101", "open 2 1@101; book a101:1/1", "| 100:1x1 101:2x1" },
        { "sell 3 u1 1@5000", "open 3 1@5000; book a5000:1/1", "| 100:1x1 101:2x1 5000:3x1" },
        { "buy 4 u2 3@100", "fill 1@100 m1 t4; close 4 2 book-full; post 2; book a100:0/0", "| 101:2x1 5000:3x1" },
    };
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        script_step(script, &steps[i]);
}

Test(engine_core, refuses_a_command_that_breaks_the_contract_and_changes_nothing)
{
    CLEANUP(script_free) struct script *script = script_new(10, 10);
    struct engine *engine = script_engine(script);
    script_step(script, &(struct script_step){ "buy 1 u1 1@100", "open 1 1@100; book b100:1/1", "100:1x1 |" });
    const struct engine_command good = { .order_id = 2,
        .user_id = 1,
        .price_ticks = 10,
        .quantity_lots = 2,
        .hold_minor = 20,
        .side = ENGINE_BUY,
        .type = ENGINE_LIMIT,
        .time_in_force = ENGINE_GTC,
        .kind = ENGINE_PLACE };
    struct {
        struct engine_command order;
        enum engine_verdict verdict;
    } cases[] = { { good, ENGINE_BAD_ORDER_ID }, { good, ENGINE_BAD_USER_ID }, { good, ENGINE_BAD_SIDE },
        { good, ENGINE_BAD_SIDE }, { good, ENGINE_BAD_TYPE }, { good, ENGINE_BAD_TYPE },
        { good, ENGINE_BAD_TIME_IN_FORCE }, { good, ENGINE_BAD_PRICE }, { good, ENGINE_BAD_PRICE },
        { good, ENGINE_BAD_QUANTITY }, { good, ENGINE_BAD_HOLD }, { good, ENGINE_BAD_HOLD },
        { good, ENGINE_DUPLICATE_ORDER } };
    cases[0].order.order_id = 0;
    cases[1].order.user_id = 0;
    cases[2].order.side = 0;
    cases[3].order.side = 3;
    cases[4].order.type = 0;
    cases[5].order.type = 99;
    cases[6].order.time_in_force = engine_code(-1);
    cases[7].order.price_ticks = 0;
    cases[8].order.price_ticks = -5;
    cases[9].order.quantity_lots = 0;
    cases[10].order.hold_minor = 19;
    cases[11].order.price_ticks = INT64_MAX;
    cases[12].order.order_id = 1;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_assert(engine_apply(engine, &cases[i].order) == cases[i].verdict, "case %zu", i);
    struct engine_command elsewhere = good;
    elsewhere.market = 1;
    cr_assert(engine_apply(engine, &elsewhere) == ENGINE_BAD_MARKET);
    elsewhere.kind = ENGINE_CANCEL;
    cr_assert(engine_apply(engine, &elsewhere) == ENGINE_BAD_MARKET);
    cr_assert(engine_apply(engine, &(struct engine_command){ .kind = 0 }) == ENGINE_BAD_COMMAND);
    cr_assert(
        engine_apply(engine, &(struct engine_command){ .kind = ENGINE_CANCEL, .user_id = 1 }) == ENGINE_BAD_ORDER_ID);
    cr_assert(
        engine_apply(engine, &(struct engine_command){ .kind = ENGINE_CANCEL, .order_id = 1 }) == ENGINE_BAD_USER_ID);
    script_step(script, &(struct script_step){ "tick 5", "", "100:1x1 |" });
}

Test(engine_core, refuses_to_amend_a_part_filled_order_to_less_than_nothing)
{
    CLEANUP(script_free) struct script *script = script_new(10, 10);
    script_step(script, &(struct script_step){ "sell 1 u1 5@100", "open 1 5@100; book a100:5/1", "| 100:1x5" });
    script_step(
        script, &(struct script_step){ "buy 2 u2 2@100", "fill 2@100 m1 t2; post 1; book a100:3/1", "| 100:1x3" });
    /* Less the two that are filled this would be more than anybody can hold, and what is set aside would cover it. */
    const struct engine_command amend = { .kind = ENGINE_AMEND,
        .order_id = 1,
        .user_id = 1,
        .amend_id = 1,
        .side = ENGINE_SELL,
        .price_ticks = 1,
        .quantity_lots = INT64_MIN,
        .hold_minor = INT64_MAX - 3 };
    cr_assert(engine_apply(script_engine(script), &amend) == ENGINE_BAD_QUANTITY);
    script_step(script, &(struct script_step){ "tick 5", "", "| 100:1x3" });
}

Test(engine_core, changes_fees_and_status_of_a_market_but_never_its_units)
{
    CLEANUP(script_free) struct script *script = script_new(10, 10);
    struct engine *engine = script_engine(script);
    struct engine_market_config config = engine_market_get(engine, 0)->config;
    uint16_t market;
    config.taker_fee_ppm = 5;
    cr_assert(engine_configure(engine, &config, &market) == ENGINE_OK && market == 0);
    cr_assert(engine_market_get(engine, 0)->config.taker_fee_ppm == 5);
    config.lot_minor = 7;
    cr_assert(engine_configure(engine, &config, &market) == ENGINE_BAD_CONFIG);
    cr_assert(engine_market_get(engine, 0)->config.lot_minor == 1);
    strcpy(config.symbol, "ETH-USD");
    cr_assert(engine_configure(engine, &config, &market) == ENGINE_OK && market == 1);
    strcpy(config.symbol, "XRP-USD");
    cr_assert(engine_configure(engine, &config, &market) == ENGINE_TOO_MANY_MARKETS);
    config.maker_fee_ppm = 1000001;
    cr_assert(engine_configure(engine, &config, &market) == ENGINE_BAD_CONFIG);
    cr_assert(engine_market_find(engine, "ETH-USD") == 1);
    cr_assert(engine_market_find(engine, "XRP-USD") == ENGINE_NO_MARKET);
}

static void keep_time(void *context, const struct engine_record *first, size_t size)
{
    (void)size;
    *(int64_t *)context = first->at_us;
}

Test(engine_core, never_lets_a_market_clock_go_back)
{
    int64_t at_us = 0;
    CLEANUP(engine_free)
    struct engine *engine = engine_new(
        &(struct engine_options){ .orders_max = 10, .markets_max = 1, .drain = keep_time, .context = &at_us });
    uint16_t market;
    struct engine_market_config config = { "A-B", 1, 1, 2, 1, 1, 0, 0, ENGINE_OPEN };
    cr_assert(engine_configure(engine, &config, &market) == ENGINE_OK);
    static const struct {
        int64_t tick, command, stamped;
    } cases[] = { { 0, 5, 5 }, { 9, 6, 9 }, { 8, 6, 9 }, { 8, 12, 12 } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cr_assert(
            engine_apply(engine, &(struct engine_command){ .kind = ENGINE_TICK, .at_us = cases[i].tick }) == ENGINE_OK);
        cr_assert(
            engine_apply(engine,
                &(struct engine_command){
                    .kind = ENGINE_CANCEL, .order_id = 1, .user_id = 1, .at_us = cases[i].command }) == ENGINE_OK);
        engine_flush(engine);
        cr_assert(at_us == cases[i].stamped, "case %zu: %ld", i, at_us);
    }
}

static void keep_fee(void *context, const struct engine_record *first, size_t size)
{
    (void)size;
    if (first->kind == ENGINE_RECORD_FILL)
        *(int64_t *)context = ((const struct engine_fill *)(const void *)first)->taker.fee_minor;
}

Test(engine_core, charges_the_floor_of_the_exact_fee)
{
    int64_t fee_minor = -1;
    static const struct {
        int64_t quantity_lots;
        uint32_t ppm;
    } cases[] = { { 1, 2000 }, { 499, 2000 }, { 500, 2000 }, { 999999, 1 }, { 1000000, 1 }, { INT64_MAX, 1000000 },
        { INT64_MAX, 999999 }, { INT64_MAX, 1 }, { 123456789012345678, 2000 }, { 5, 0 } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(engine_free)
        struct engine *engine = engine_new(
            &(struct engine_options){ .orders_max = 10, .markets_max = 1, .drain = keep_fee, .context = &fee_minor });
        uint16_t market;
        int64_t lots = cases[i].quantity_lots;
        struct engine_market_config config = { "A-B", 1, 1, 2, 1, 1, 0, cases[i].ppm, ENGINE_OPEN };
        cr_assert(engine_configure(engine, &config, &market) == ENGINE_OK);
        struct engine_command order = { 1, 1, 1, lots, lots, 1, ENGINE_SELL, ENGINE_LIMIT, ENGINE_GTC, 0, 0,
            ENGINE_PLACE, 0, { 0 } };
        cr_assert(engine_apply(engine, &order) == ENGINE_OK);
        engine_flush(engine);
        order.order_id = order.user_id = 2;
        order.side = ENGINE_BUY;
        cr_assert(engine_apply(engine, &order) == ENGINE_OK);
        engine_flush(engine);
        cr_assert(fee_minor == (int64_t)((__int128)lots * cases[i].ppm / 1000000), "case %zu: %ld", i, fee_minor);
    }
}

struct fees {
    uint64_t order_id; /* the order under test */
    int64_t lot_minor, unit_minor;
    int64_t fills, fee_minor, received_minor, paid_minor;
};

/* What settlement books for the order: fees and what it receives, and what leaves its hold. */
static void sum_fees(void *context, const struct engine_record *first, size_t size)
{
    struct fees *fees = context;
    for (engine_each_record(record, first, size)) {
        const struct engine_fill *fill = (const void *)record;
        if (record->kind != ENGINE_RECORD_FILL)
            continue;
        bool is_maker = fill->maker.order_id == fees->order_id;
        const struct engine_party *party = is_maker ? &fill->maker : &fill->taker;
        bool buys = (record->side == ENGINE_BUY) != is_maker;
        int64_t base_minor = fill->quantity_lots * fees->lot_minor;
        int64_t quote_minor = fill->price_ticks * fill->quantity_lots * fees->unit_minor;
        fees->fills++;
        fees->fee_minor += party->fee_minor;
        fees->received_minor += buys ? base_minor : quote_minor;
        fees->paid_minor += buys ? quote_minor : base_minor;
    }
}

static struct engine *fees_engine(struct fees *fees, unsigned ppm)
{
    struct engine *engine = engine_new(
        &(struct engine_options){ .orders_max = 1000, .markets_max = 1, .drain = sum_fees, .context = fees });
    struct engine_market_config config = { "A-B", 1, 1, 2, fees->lot_minor, fees->unit_minor, ppm, ppm, ENGINE_OPEN };
    uint16_t market;
    cr_assert(engine && engine_configure(engine, &config, &market) == ENGINE_OK);
    return engine;
}

static void fees_place(
    struct engine *engine, const struct fees *fees, uint64_t order_id, bool buys, int64_t lots, int64_t price_ticks)
{
    struct engine_command order = { .order_id = order_id,
        .user_id = order_id,
        .price_ticks = price_ticks,
        .quantity_lots = lots,
        .hold_minor = buys ? price_ticks * lots * fees->unit_minor : lots * fees->lot_minor,
        .side = buys ? ENGINE_BUY : ENGINE_SELL,
        .type = ENGINE_LIMIT,
        .time_in_force = ENGINE_GTC,
        .kind = ENGINE_PLACE };
    cr_assert(engine_apply(engine, &order) == ENGINE_OK);
}

/* One order cut into as many fills as its lots allow, each with its own rounding. */
Test(engine_core, never_charges_more_for_many_fills_than_for_one_nor_more_than_was_held)
{
    static const struct {
        bool buys;
        int64_t lots, price_ticks, lot_minor, unit_minor;
    } cases[] = { { false, 37, 7, 1, 1 }, { true, 37, 7, 1, 1 }, { false, 100, 999, 3, 7 }, { true, 100, 999, 3, 7 },
        { true, 64, 1, 1000, 1 } };
    static const unsigned rates_ppm[] = { 1, 999, 2000, 333333, 999999, 1000000 };
    for (size_t i = 0; i < ARRAY_LEN(cases) * ARRAY_LEN(rates_ppm) * 2; i++) {
        bool is_maker = i % 2;
        unsigned ppm = rates_ppm[i / 2 % ARRAY_LEN(rates_ppm)];
        size_t at = i / 2 / ARRAY_LEN(rates_ppm);
        struct fees fees = { .order_id = 1000, .lot_minor = cases[at].lot_minor, .unit_minor = cases[at].unit_minor };
        CLEANUP(engine_free) struct engine *engine = fees_engine(&fees, ppm);
        bool buys = cases[at].buys;
        if (is_maker)
            fees_place(engine, &fees, 1000, buys, cases[at].lots, cases[at].price_ticks);
        for (int64_t lot = 0; lot < cases[at].lots; lot++)
            fees_place(engine, &fees, (uint64_t)lot + 1, !buys, 1, cases[at].price_ticks);
        if (!is_maker)
            fees_place(engine, &fees, 1000, buys, cases[at].lots, cases[at].price_ticks);
        engine_flush(engine);
        __int128 whole_fee_minor = (__int128)fees.received_minor * ppm / 1000000;
        int64_t held_minor =
            buys ? cases[at].price_ticks * cases[at].lots * fees.unit_minor : cases[at].lots * fees.lot_minor;
        cr_assert(fees.fills == cases[at].lots, "case %zu: %ld fills", i, fees.fills);
        cr_assert(fees.fee_minor <= whole_fee_minor && fees.fee_minor >= whole_fee_minor - fees.fills,
            "case %zu: %ld in fees where one fill would cost %ld", i, fees.fee_minor, (int64_t)whole_fee_minor);
        cr_assert(fees.fee_minor <= fees.received_minor, "case %zu: fees exceed what was received", i);
        cr_assert(
            fees.paid_minor == held_minor, "case %zu: %ld taken from a hold of %ld", i, fees.paid_minor, held_minor);
    }
}
