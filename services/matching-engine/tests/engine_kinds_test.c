/* Named cases of every kind of order and control beyond plain limits: records and book after every command. */
#include "script.h"

#include <criterion/criterion.h>

#define SCRIPT(name, ...)                                                                                              \
    Test(engine_kinds, name)                                                                                           \
    {                                                                                                                  \
        static const struct script_step steps[] = { __VA_ARGS__, { NULL, NULL, NULL } };                               \
        script_run(steps);                                                                                             \
    }

/* ---- Amendments ---- */

SCRIPT(keeps_the_place_of_an_order_that_wants_less, { "sell 1 u1 5@100", "open 1 5@100; book a100:5/1", "| 100:1x5" },
    { "sell 2 u2 5@100", "open 2 5@100; book a100:10/2", "| 100:1x5,2x5" },
    { "amend 1 u1 3@100", "amended 1 3@100 left 3 kept; post 1; book a100:8/2", "| 100:1x3,2x5" })

SCRIPT(moves_an_order_that_wants_more_behind_its_siblings,
    { "sell 1 u1 5@100", "open 1 5@100; book a100:5/1", "| 100:1x5" },
    { "sell 2 u2 5@100", "open 2 5@100; book a100:10/2", "| 100:1x5,2x5" },
    { "sell 3 u3 5@100", "open 3 5@100; book a100:15/3", "| 100:1x5,2x5,3x5" },
    { "amend 1 u1 6@100", "amended 1 6@100 left 6 moved; open 1 6@100; post 1; book a100:16/3", "| 100:2x5,3x5,1x6" })

SCRIPT(trades_an_order_modified_into_a_cross_at_the_makers_price,
    { "sell 1 u1 2@100", "open 1 2@100; book a100:2/1", "| 100:1x2" },
    { "buy 2 u2 3@90", "open 2 3@90; book b90:3/1", "90:2x3 | 100:1x2" },
    { "amend 2 u2 3@105",
        "amended 2 3@105 left 3 moved; fill 2@100 m1 t2; open 2 1@105; post 2; book b90:0/0 a100:0/0 b105:1/1",
        "105:2x1 |" })

SCRIPT(leaves_the_siblings_of_a_modified_order_as_they_were,
    { "buy 1 u1 1@100", "open 1 1@100; book b100:1/1", "100:1x1 |" },
    { "buy 2 u2 2@100", "open 2 2@100; book b100:3/2", "100:1x1,2x2 |" },
    { "buy 3 u3 3@100", "open 3 3@100; book b100:6/3", "100:1x1,2x2,3x3 |" },
    { "amend 2 u2 2@99", "amended 2 2@99 left 2 moved; open 2 2@99; post 1; book b100:4/2 b99:2/1",
        "100:1x1,3x3 99:2x2 |" })

SCRIPT(rejects_a_stale_modify, { "sell 1 u1 1@100", "open 1 1@100; book a100:1/1", "| 100:1x1" },
    { "buy 2 u2 1@100", "fill 1@100 m1 t2; post 1; book a100:0/0", "|" },
    { "amend 1 u1 5@90", "noamend 1 order-not-open; post 1", "|" },
    { "sell 3 u1 4@100", "open 3 4@100; book a100:4/1", "| 100:3x4" },
    { "amend 3 u2 5@90", "noamend 3 order-not-found; post 1", "| 100:3x4" },
    { "buy 4 u2 3@100", "fill 3@100 m3 t4; post 1; book a100:1/1", "| 100:3x1" },
    { "amend 3 u1 3@100", "noamend 3 quantity-already-filled; post 1", "| 100:3x1" },
    { "amend 3 u1 9@99 short", "noamend 3 insufficient-funds; post 1", "| 100:3x1" },
    { "amend 3 u1 4@101", "amended 3 4@101 left 1 moved; open 3 1@101; post 1; book a100:0/0 a101:1/1", "| 101:3x1" })

/* ---- Stops ---- */

SCRIPT(triggers_a_stop_by_the_last_trade_within_the_same_command,
    { "sell 1 u1 1@100", "open 1 1@100; book a100:1/1", "| 100:1x1" },
    { "sell 2 u1 2@101", "open 2 2@101; book a101:2/1", "| 100:1x1 101:2x2" },
    { "buy 3 u3 2@110 stop=100", "wait 3 2@110", "| 100:1x1 101:2x2 ^3!100" },
    { "buy 4 u4 1@100", "fill 1@100 m1 t4; trigger 3 100; fill 2@101 m2 t3; post 2; book a100:0/0 a101:0/0", "|" })

SCRIPT(lets_stops_cascade_the_older_of_the_nearest_first,
    { "buy 1 u1 1@100", "open 1 1@100; book b100:1/1", "100:1x1 |" },
    { "buy 2 u1 1@99", "open 2 1@99; book b99:1/1", "100:1x1 99:2x1 |" },
    { "buy 3 u1 1@98", "open 3 1@98; book b98:1/1", "100:1x1 99:2x1 98:3x1 |" },
    { "sell 5 u5 1@90 stop=99", "wait 5 1@90", "100:1x1 99:2x1 98:3x1 | v5!99" },
    { "sell 4 u4 1@90 stop=100", "wait 4 1@90", "100:1x1 99:2x1 98:3x1 | v4!100 v5!99" },
    { "buy 6 u6 1@80 stop=200", "wait 6 1@80", "100:1x1 99:2x1 98:3x1 | ^6!200 v4!100 v5!99" },
    { "sell 7 u7 1@100",
        "fill 1@100 m1 t7; trigger 4 100; fill 1@99 m2 t4; trigger 5 99; fill 1@98 m3 t5; post 3; "
        "book b100:0/0 b99:0/0 b98:0/0",
        "| ^6!200" },
    { "cancel 6 u6", "close 6 1 requested; post 1", "|" })

SCRIPT(triggers_a_stop_at_once_if_the_last_trade_is_there,
    { "sell 1 u1 1@100", "open 1 1@100; book a100:1/1", "| 100:1x1" },
    { "buy 2 u2 1@100", "fill 1@100 m1 t2; post 1; book a100:0/0", "|" },
    { "buy 3 u3 2@105 stop-limit=100", "trigger 3 100; open 3 2@105; book b105:2/1", "105:3x2 |" },
    { "buy 4 u4 2@95 stop=100", "trigger 4 100; close 4 2 ioc; post 1", "105:3x2 |" })

SCRIPT(amends_and_cancels_a_waiting_stop, { "buy 1 u1 2@110 stop-limit=105", "wait 1 2@110", "| ^1!105" },
    { "amend 1 u1 4@120", "amended 1 4@120 left 4 kept; post 1", "| ^1!105" },
    { "cancel-all u1", "close 1 4 all; post 1", "|" })

/* ---- GTD ---- */

SCRIPT(expires_orders_before_the_command_that_moves_the_clock,
    { "sell 1 u1 1@100 gtd=50", "open 1 1@100; book a100:1/1", "| 100:1x1" },
    { "sell 2 u1 1@100 gtd=40", "open 2 1@100; book a100:2/2", "| 100:1x1,2x1" },
    { "sell 3 u1 1@101", "open 3 1@101; book a101:1/1", "| 100:1x1,2x1 101:3x1" },
    { "tick 39", "", "| 100:1x1,2x1 101:3x1" },
    { "tick 40", "close 2 1 expired; post 1; book a100:1/1", "| 100:1x1 101:3x1" },
    { "tick 60", "close 1 1 expired; post 1; book a100:0/0", "| 101:3x1" },
    { "buy 4 u4 1@100 gtd=60", "close 4 1 expired; post 1", "| 101:3x1" })

SCRIPT(does_not_trade_with_an_order_that_the_command_itself_expires,
    { "sell 1 u1 1@100 gtd=3", "open 1 1@100; book a100:1/1", "| 100:1x1" }, { "tick 2", "", "| 100:1x1" },
    { "buy 2 u2 1@100", "close 1 1 expired; open 2 1@100; post 1; book a100:0/0 b100:1/1", "100:2x1 |" })

/* ---- Icebergs ---- */

SCRIPT(shows_an_icebergs_next_part_at_the_end_of_the_queue,
    { "sell 1 u1 5@100 show=2", "open 1 5@100; book a100:2/1", "| 100:1x5(2)" },
    { "sell 2 u2 1@100", "open 2 1@100; book a100:3/2", "| 100:1x5(2),2x1" },
    { "buy 3 u3 2@100", "fill 2@100 m1 t3; post 1", "| 100:2x1,1x3(2)" },
    { "buy 4 u4 4@100", "fill 1@100 m2 t4; fill 2@100 m1 t4; fill 1@100 m1 t4; post 3; book a100:0/0", "|" })

SCRIPT(counts_what_icebergs_hide_for_fok, { "sell 1 u1 5@100 show=1", "open 1 5@100; book a100:1/1", "| 100:1x5(1)" },
    { "buy 2 u2 6@100 fok", "close 2 6 fok; post 1", "| 100:1x5(1)" },
    { "buy 3 u3 5@100 fok",
        "fill 1@100 m1 t3; fill 1@100 m1 t3; fill 1@100 m1 t3; fill 1@100 m1 t3; fill 1@100 m1 t3; post 5; book "
        "a100:0/0",
        "|" })

SCRIPT(takes_hidden_lots_first_when_an_iceberg_is_amended,
    { "sell 1 u1 5@100 show=2", "open 1 5@100; book a100:2/1", "| 100:1x5(2)" },
    { "amend 1 u1 3@100", "amended 1 3@100 left 3 kept; post 1", "| 100:1x3(2)" },
    { "amend 1 u1 1@100", "amended 1 1@100 left 1 kept; post 1; book a100:1/1", "| 100:1x1" })

/* ---- Post-only, quote amounts, fees ---- */

SCRIPT(slides_a_post_only_order_one_tick_from_the_touch,
    { "sell 1 u1 1@100", "open 1 1@100; book a100:1/1", "| 100:1x1" },
    { "buy 2 u2 3@105 slide", "amended 2 3@99 left 3 moved; open 2 3@99; post 1; book b99:3/1", "99:2x3 | 100:1x1" },
    { "sell 3 u3 1@50 slide", "amended 3 1@100 left 1 moved; open 3 1@100; post 1; book a100:2/2",
        "99:2x3 | 100:1x1,3x1" },
    { "cancel-all u2", "close 2 3 all; post 1; book b99:0/0", "| 100:1x1,3x1" },
    { "sell 4 u4 1@1", "open 4 1@1; book a1:1/1", "| 1:4x1 100:1x1,3x1" },
    { "buy 5 u2 1@9 slide", "refuse 5 1 would-cross; post 1", "| 1:4x1 100:1x1,3x1" })

SCRIPT(spends_at_most_the_quote_amount_of_a_market_buy,
    { "sell 1 u1 2@100", "open 1 2@100; book a100:2/1", "| 100:1x2" },
    { "sell 2 u1 5@150", "open 2 5@150; book a150:5/1", "| 100:1x2 150:2x5" },
    { "buy 3 u3 0@200 market ioc quote=449",
        "fill 2@100 m1 t3; fill 1@150 m2 t3; close 3 0 spent; post 3; book a100:0/0 a150:4/1", "| 150:2x4" },
    { "buy 4 u4 0@200 market ioc quote=150", "fill 1@150 m2 t4; post 1; book a150:3/1", "| 150:2x3" },
    { "buy 5 u5 0@140 market ioc quote=150", "close 5 0 ioc; post 1", "| 150:2x3" },
    { "buy 6 u6 0@200 market fok quote=900", "close 6 0 fok; post 1", "| 150:2x3" },
    { "buy 7 u7 0@200 market fok quote=310", "fill 2@150 m2 t7; close 7 0 spent; post 2; book a150:1/1", "| 150:2x1" })

SCRIPT(sells_until_it_has_received_the_quote_amount, { "buy 1 u1 2@100", "open 1 2@100; book b100:2/1", "100:1x2 |" },
    { "buy 2 u1 5@90", "open 2 5@90; book b90:5/1", "100:1x2 90:2x5 |" },
    { "sell 3 u3 9@50 market ioc quote=201",
        "fill 2@100 m1 t3; fill 1@90 m2 t3; close 3 6 spent; post 3; book b100:0/0 b90:4/1", "90:2x4 |" },
    { "sell 4 u4 2@50 market ioc quote=999", "fill 2@90 m2 t4; post 1; book b90:2/1", "90:2x2 |" })

/* ---- Self-trade prevention ---- */

SCRIPT(cancels_the_older_order_of_a_self_trade, { "sell 1 u1 2@100", "open 1 2@100; book a100:2/1", "| 100:1x2" },
    { "sell 2 u2 2@100", "open 2 2@100; book a100:4/2", "| 100:1x2,2x2" },
    { "buy 3 u1 2@100 stp=oldest", "close 1 2 self-trade; fill 2@100 m2 t3; post 2; book a100:0/0", "|" })

SCRIPT(cancels_both_orders_of_a_self_trade, { "sell 1 u1 2@100", "open 1 2@100; book a100:2/1", "| 100:1x2" },
    { "sell 2 u2 2@100", "open 2 2@100; book a100:4/2", "| 100:1x2,2x2" },
    { "buy 3 u1 9@100 stp=both", "close 1 2 self-trade; close 3 9 self-trade; post 2; book a100:2/1", "| 100:2x2" })

SCRIPT(decrements_both_orders_of_a_self_trade, { "sell 1 u1 5@100", "open 1 5@100; book a100:5/1", "| 100:1x5" },
    { "buy 2 u1 2@100 stp=decrement", "amended 1 3@100 left 3 kept; close 2 2 self-trade; post 2; book a100:3/1",
        "| 100:1x3" },
    { "buy 3 u1 4@100 stp=decrement",
        "close 1 3 self-trade; amended 3 1@100 left 1 moved; open 3 1@100; post 2; book a100:0/0 b100:1/1",
        "100:3x1 |" })

SCRIPT(fills_a_fok_order_past_own_orders_that_it_cancels,
    { "sell 1 u1 5@100", "open 1 5@100; book a100:5/1", "| 100:1x5" },
    { "sell 2 u2 2@101", "open 2 2@101; book a101:2/1", "| 100:1x5 101:2x2" },
    { "buy 3 u1 2@101 fok stp=both", "close 3 2 fok; post 1", "| 100:1x5 101:2x2" },
    { "buy 4 u1 2@101 fok stp=oldest", "close 1 5 self-trade; fill 2@101 m2 t4; post 2; book a100:0/0 a101:0/0", "|" })

/* ---- By user and by set ---- */

SCRIPT(cancels_all_orders_of_a_user_by_id, { "sell 2 u1 1@100", "open 2 1@100; book a100:1/1", "| 100:2x1" },
    { "buy 1 u1 1@90", "open 1 1@90; book b90:1/1", "90:1x1 | 100:2x1" },
    { "buy 3 u2 1@90", "open 3 1@90; book b90:2/2", "90:1x1,3x1 | 100:2x1" },
    { "buy 4 u1 2@110 stop=105", "wait 4 2@110", "90:1x1,3x1 | 100:2x1 ^4!105" },
    { "cancel-all u1", "close 1 1 all; close 2 1 all; close 4 2 all; post 3; book b90:1/1 a100:0/0", "90:3x1 |" },
    { "cancel-all u1", "", "90:3x1 |" })

SCRIPT(blocks_a_user_by_kill_switch, { "buy 1 u1 1@90", "open 1 1@90; book b90:1/1", "90:1x1 |" },
    { "kill u1", "close 1 1 killed; post 1; book b90:0/0", "|" }, { "buy 2 u1 1@90", "refuse 2 1 killed; post 1", "|" },
    { "buy 3 u2 1@90", "open 3 1@90; book b90:1/1", "90:3x1 |" }, { "unkill u1", "", "90:3x1 |" },
    { "buy 4 u1 1@90", "open 4 1@90; book b90:2/2", "90:3x1,4x1 |" })

SCRIPT(replaces_a_quote_set_and_leaves_the_others,
    { "quotes u1 1: buy 1 u1 1@90, sell 2 u1 1@110", "open 1 1@90; open 2 1@110; book b90:1/1 a110:1/1",
        "90:1x1 | 110:2x1" },
    { "quotes u1 2: buy 3 u1 1@80", "open 3 1@80; book b80:1/1", "90:1x1 80:3x1 | 110:2x1" },
    { "quotes u1 1: buy 4 u1 2@90, sell 5 u1 2@110",
        "close 1 1 replaced; close 2 1 replaced; open 4 2@90; open 5 2@110; post 2; book b90:2/1 a110:2/1",
        "90:4x2 80:3x1 | 110:5x2" },
    { "quotes u1 1", "close 4 2 replaced; close 5 2 replaced; post 2; book b90:0/0 a110:0/0", "80:3x1 |" })

/* ---- The market ---- */

SCRIPT(refuses_what_is_outside_the_markets_limits,
    { "limits min-price=10 max-price=200 price-step=5 min-lots=2 max-lots=100 lot-step=2 min-notional=100 "
      "max-notional=9000",
        "", "|" },
    { "buy 1 u1 20@5", "refuse 1 20 limits; post 1", "|" }, { "buy 2 u1 2@205", "refuse 2 2 limits; post 1", "|" },
    { "buy 3 u1 20@12", "refuse 3 20 limits; post 1", "|" }, { "buy 4 u1 102@10", "refuse 4 102 limits; post 1", "|" },
    { "buy 5 u1 21@10", "refuse 5 21 limits; post 1", "|" }, { "buy 6 u1 8@10", "refuse 6 8 limits; post 1", "|" },
    { "buy 7 u1 50@190", "refuse 7 50 limits; post 1", "|" },
    { "buy 8 u1 10@10", "open 8 10@10; book b10:10/1", "10:8x10 |" },
    { "amend 8 u1 10@11", "noamend 8 outside-limits; post 1", "10:8x10 |" })

SCRIPT(refuses_prices_outside_the_band, { "limits band=100000", "", "|" },
    { "buy 1 u1 1@500", "open 1 1@500; book b500:1/1", "500:1x1 |" }, { "reference 1000", "", "500:1x1 |" },
    { "buy 2 u1 1@899", "refuse 2 1 band; post 1", "500:1x1 |" },
    { "buy 3 u1 1@900", "open 3 1@900; book b900:1/1", "900:3x1 500:1x1 |" },
    { "sell 4 u2 1@1101", "refuse 4 1 band; post 1", "900:3x1 500:1x1 |" },
    { "amend 3 u1 1@1101", "noamend 3 price-band; post 1", "900:3x1 500:1x1 |" })

/* ---- Auctions ---- */

SCRIPT(uncrosses_at_the_price_of_the_greatest_volume, { "auction", "", "|" },
    { "buy 1 u1 5@105", "open 1 5@105; book b105:5/1", "105:1x5 |" },
    { "buy 2 u2 5@102", "open 2 5@102; book b102:5/1", "105:1x5 102:2x5 |" },
    { "sell 3 u3 4@100", "open 3 4@100; book a100:4/1", "105:1x5 102:2x5 | 100:3x4" },
    { "sell 4 u4 4@101", "open 4 4@101; book a101:4/1", "105:1x5 102:2x5 | 100:3x4 101:4x4" },
    { "sell 5 u5 9@104", "open 5 9@104; book a104:9/1", "105:1x5 102:2x5 | 100:3x4 101:4x4 104:5x9" },
    { "buy 6 u6 1@105 ioc", "refuse 6 1 market-closed; post 1", "105:1x5 102:2x5 | 100:3x4 101:4x4 104:5x9" },
    { "open", "fill 4@101 m1 t3; fill 1@101 m1 t4; fill 3@101 m2 t4; post 3; book b105:0/0 a100:0/0 a101:0/0 b102:2/1",
        "102:2x2 | 104:5x9" })

SCRIPT(uncrosses_nearest_to_the_reference_then_lower, { "auction", "", "|" },
    { "buy 1 u1 5@110", "open 1 5@110; book b110:5/1", "110:1x5 |" },
    { "sell 2 u2 5@100", "open 2 5@100; book a100:5/1", "110:1x5 | 100:2x5" },
    { "reference 108", "", "110:1x5 | 100:2x5" }, { "open", "fill 5@110 m1 t2; post 1; book b110:0/0 a100:0/0", "|" },
    { "auction", "", "|" }, { "buy 3 u1 5@110", "open 3 5@110; book b110:5/1", "110:3x5 |" },
    { "sell 4 u2 5@106", "open 4 5@106; book a106:5/1", "110:3x5 | 106:4x5" },
    { "open", "fill 5@106 m3 t4; post 1; book b110:0/0 a106:0/0", "|" })

SCRIPT(uncrosses_again_what_self_trade_prevention_left_crossed, { "auction", "", "|" },
    { "sell 1 u1 5@100", "open 1 5@100; book a100:5/1", "| 100:1x5" },
    { "buy 2 u1 5@110", "open 2 5@110; book b110:5/1", "110:2x5 | 100:1x5" },
    { "buy 3 u2 2@108", "open 3 2@108; book b108:2/1", "110:2x5 108:3x2 | 100:1x5" },
    { "halt", "", "110:2x5 108:3x2 | 100:1x5" },
    { "open", "close 2 5 self-trade; fill 2@100 m1 t3; post 2; book b110:0/0 a100:3/1 b108:0/0", "| 100:1x3" })
