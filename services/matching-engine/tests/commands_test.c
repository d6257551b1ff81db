/* Commands as they come in the log: what each does, and what is refused with which field. */
#include "commands.h"

#include "markets_v1.pb-c.h"
#include "orders_v1.pb-c.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { VALUE_MAX = 16384, QUOTES_MAX = 101 };

#define SYMBOL ((char *)"BTC-USD")

struct room {
    struct engine *engine;
    struct arena *scratch;
    struct error error;
};

static bool apply(struct room *room, const ProtobufCMessage *message)
{
    static uint8_t value[VALUE_MAX];
    struct event event = { .type = message->descriptor->name, .key = { SYMBOL, strlen(SYMBOL) } };

    cr_assert(protobuf_c_message_get_packed_size(message) <= sizeof value);
    event.value = (struct bytes){ value, protobuf_c_message_pack(message, value) };
    room->error = (struct error){ 0 };
    return commands_apply(room->engine, room->scratch, &event, &room->error);
}

static Penstock__Markets__V1__MarketConfigured market_message(void)
{
    Penstock__Markets__V1__MarketConfigured market = PENSTOCK__MARKETS__V1__MARKET_CONFIGURED__INIT;

    market.symbol = SYMBOL;
    market.market_id = 1;
    market.base_asset_id = 2;
    market.quote_asset_id = 1;
    market.lot_minor = 100;
    market.notional_unit_minor = 1;
    market.status = PENSTOCK__MARKETS__V1__MARKET_STATUS__MARKET_STATUS_OPEN;
    market.max_price_ticks = 100000;
    market.price_band_ppm = 500000;
    return market;
}

static struct room room_with_market(void)
{
    struct room room = { .engine = engine_new(&(struct engine_options){ .orders_max = 1000, .markets_max = 2 }),
        .scratch = arena_new() };
    Penstock__Markets__V1__MarketConfigured market = market_message();

    cr_assert(apply(&room, &market.base), "%s", room.error.message);
    return room;
}

static void room_release(struct room *room)
{
    engine_check(room->engine);
    engine_free(room->engine);
    arena_free(room->scratch);
}

/* A buy of 10 lots at 100 by user 7. */
static Penstock__Orders__V1__OrderAccepted order_message(uint64_t order_id)
{
    Penstock__Orders__V1__OrderAccepted order = PENSTOCK__ORDERS__V1__ORDER_ACCEPTED__INIT;

    order.order_id = order_id;
    order.user_id = 7;
    order.symbol = SYMBOL;
    order.side = PENSTOCK__ORDERS__V1__SIDE__SIDE_BUY;
    order.type = PENSTOCK__ORDERS__V1__ORDER_TYPE__ORDER_TYPE_LIMIT;
    order.time_in_force = PENSTOCK__ORDERS__V1__TIME_IN_FORCE__TIME_IN_FORCE_GTC;
    order.price_ticks = 100;
    order.quantity_lots = 10;
    order.hold_minor = 1000;
    order.accepted_at_us = 1000;
    return order;
}

static bool keep(void *context, const struct engine_resting *order)
{
    *(struct engine_resting *)context = *order;
    return false;
}

static struct engine_resting first_order(const struct room *room, bool waiting)
{
    struct engine_resting order = { 0 };

    (waiting ? engine_each_waiting : engine_each_order)(room->engine, 0, ENGINE_BUY, keep, &order);
    return order;
}

Test(commands, order_with_everything_reaches_the_engine)
{
    struct room room = room_with_market();
    Penstock__Orders__V1__OrderAccepted order = order_message(1);
    Penstock__Orders__V1__FeeRates fees = PENSTOCK__ORDERS__V1__FEE_RATES__INIT;

    fees.maker_ppm = 11;
    fees.taker_ppm = 22;
    order.type = PENSTOCK__ORDERS__V1__ORDER_TYPE__ORDER_TYPE_STOP_LIMIT;
    order.time_in_force = PENSTOCK__ORDERS__V1__TIME_IN_FORCE__TIME_IN_FORCE_GTD;
    order.stop_price_ticks = 90;
    order.display_lots = 4;
    order.expires_at_us = 5000;
    order.self_trade_prevention = PENSTOCK__ORDERS__V1__SELF_TRADE_PREVENTION__SELF_TRADE_PREVENTION_CANCEL_BOTH;
    order.fees = &fees;
    cr_assert(apply(&room, &order.base), "%s", room.error.message);

    struct engine_resting kept = first_order(&room, true);

    cr_assert(kept.waiting && kept.order_id == 1 && kept.user_id == 7 && kept.price_ticks == 100);
    cr_assert(kept.remaining_lots == 10 && kept.type == ENGINE_STOP_LIMIT && kept.time_in_force == ENGINE_GTD);
    cr_assert(kept.more.stop_price_ticks == 90 && kept.more.display_lots == 4 && kept.more.expires_at_us == 5000);
    cr_assert(kept.more.has_fees && kept.more.maker_fee_ppm == 11 && kept.more.taker_fee_ppm == 22);
    cr_assert(kept.self_trade == ENGINE_CANCEL_BOTH);
    room_release(&room);
}

Test(commands, amend_cancel_all_kill_switch_reference_and_tick_do_what_they_say)
{
    struct room room = room_with_market();
    Penstock__Orders__V1__OrderAccepted order = order_message(1);
    Penstock__Orders__V1__AmendAccepted amend = PENSTOCK__ORDERS__V1__AMEND_ACCEPTED__INIT;
    Penstock__Orders__V1__CancelAllAccepted all = PENSTOCK__ORDERS__V1__CANCEL_ALL_ACCEPTED__INIT;
    Penstock__Orders__V1__KillSwitchSet kill = PENSTOCK__ORDERS__V1__KILL_SWITCH_SET__INIT;
    Penstock__Orders__V1__TimeTicked tick = PENSTOCK__ORDERS__V1__TIME_TICKED__INIT;
    Penstock__Markets__V1__ReferencePriceSet reference = PENSTOCK__MARKETS__V1__REFERENCE_PRICE_SET__INIT;

    cr_assert(apply(&room, &order.base));
    amend.amend_id = 1;
    amend.order_id = 1;
    amend.user_id = 7;
    amend.symbol = all.symbol = kill.symbol = tick.symbol = reference.symbol = SYMBOL;
    amend.side = PENSTOCK__ORDERS__V1__SIDE__SIDE_BUY;
    amend.price_ticks = 101;
    amend.quantity_lots = 12;
    amend.extra_hold_minor = 101 * 12 - 1000;
    cr_assert(apply(&room, &amend.base), "%s", room.error.message);
    cr_assert(first_order(&room, false).price_ticks == 101 && first_order(&room, false).remaining_lots == 12);
    all.user_id = 7;
    cr_assert(apply(&room, &all.base));
    cr_assert(engine_orders_count(room.engine) == 0);
    kill.user_id = 7;
    kill.engaged = true;
    cr_assert(apply(&room, &kill.base));
    order.order_id = 2;
    cr_assert(apply(&room, &order.base));
    cr_assert(engine_orders_count(room.engine) == 0, "the user is blocked");
    kill.engaged = false;
    cr_assert(apply(&room, &kill.base));
    order.order_id = 3;
    cr_assert(apply(&room, &order.base));
    cr_assert(engine_orders_count(room.engine) == 1);
    reference.price_ticks = 1000;
    cr_assert(apply(&room, &reference.base));
    cr_assert(engine_market_get(room.engine, 0)->reference_price_ticks == 1000);
    tick.now_us = 77777;
    cr_assert(apply(&room, &tick.base));
    cr_assert(engine_market_get(room.engine, 0)->at_us == 77777);
    room_release(&room);
}

static Penstock__Orders__V1__MassQuoteAccepted quote_message(
    Penstock__Orders__V1__OrderAccepted *orders, Penstock__Orders__V1__OrderAccepted **pointers, size_t count)
{
    Penstock__Orders__V1__MassQuoteAccepted quote = PENSTOCK__ORDERS__V1__MASS_QUOTE_ACCEPTED__INIT;

    for (size_t i = 0; i < count; i++) {
        orders[i] = order_message(100 + i);
        pointers[i] = &orders[i];
    }
    quote.user_id = 7;
    quote.symbol = SYMBOL;
    quote.quote_set = 1;
    quote.orders = pointers;
    quote.n_orders = count;
    return quote;
}

Test(commands, mass_quote_enters_whole_and_replaces_its_set)
{
    struct room room = room_with_market();
    Penstock__Orders__V1__OrderAccepted orders[QUOTES_MAX], *pointers[QUOTES_MAX];
    Penstock__Orders__V1__MassQuoteAccepted quote = quote_message(orders, pointers, 100);

    cr_assert(apply(&room, &quote.base), "%s", room.error.message);
    cr_assert(engine_orders_count(room.engine) == 100);
    quote.n_orders = 0;
    cr_assert(apply(&room, &quote.base), "%s", room.error.message);
    cr_assert(engine_orders_count(room.engine) == 0);
    room_release(&room);
}

Test(commands, mass_quote_that_breaks_a_rule_is_refused_whole)
{
    struct room room = room_with_market();
    Penstock__Orders__V1__OrderAccepted orders[QUOTES_MAX], *pointers[QUOTES_MAX];
    Penstock__Orders__V1__MassQuoteAccepted quote = quote_message(orders, pointers, QUOTES_MAX);

    cr_assert(!apply(&room, &quote.base));
    cr_assert_str_eq(room.error.field, "orders");
    quote.n_orders = 3;
    orders[2].symbol = (char *)"ETH-USD";
    cr_assert(!apply(&room, &quote.base));
    cr_assert_str_eq(room.error.field, "orders");
    orders[2].symbol = SYMBOL;
    orders[2].user_id = 8;
    cr_assert(!apply(&room, &quote.base));
    orders[2].user_id = 7;
    quote.quote_set = 65536;
    cr_assert(!apply(&room, &quote.base));
    cr_assert_str_eq(room.error.field, "quote_set");
    cr_assert(engine_orders_count(room.engine) == 0);
    room_release(&room);
}

#define SET(member, value)                                                                                             \
    ({                                                                                                                 \
        order = order_message(1);                                                                                      \
        order.member = (value);                                                                                        \
        apply(&room, &order.base);                                                                                     \
    })
#define CHECK_REFUSED(member, value, name)                                                                             \
    do {                                                                                                               \
        cr_assert(!SET(member, value), #member " = " #value " is accepted");                                           \
        cr_assert(room.error.kind == ERROR_REFUSED);                                                                   \
        cr_assert_str_eq(room.error.field, name);                                                                      \
    } while (0)

Test(commands, order_with_a_value_that_means_nothing_is_refused_by_name)
{
    struct room room = room_with_market();
    Penstock__Orders__V1__OrderAccepted order;

    CHECK_REFUSED(order_id, 0, "order_id");
    CHECK_REFUSED(user_id, 0, "user_id");
    CHECK_REFUSED(symbol, (char *)"ETH-USD", "symbol");
    CHECK_REFUSED(side, (Penstock__Orders__V1__Side)3, "side");
    CHECK_REFUSED(side, (Penstock__Orders__V1__Side)257, "side");
    CHECK_REFUSED(type, (Penstock__Orders__V1__OrderType)0, "type");
    CHECK_REFUSED(type, (Penstock__Orders__V1__OrderType)-1, "type");
    CHECK_REFUSED(time_in_force, (Penstock__Orders__V1__TimeInForce)9, "time_in_force");
    CHECK_REFUSED(post_only_mode, (Penstock__Orders__V1__PostOnlyMode)3, "post_only_mode");
    CHECK_REFUSED(self_trade_prevention, (Penstock__Orders__V1__SelfTradePrevention)258, "self_trade_prevention");
    CHECK_REFUSED(price_ticks, -1, "price_ticks");
    CHECK_REFUSED(quantity_lots, 0, "quantity_lots");
    CHECK_REFUSED(hold_minor, 999, "hold_minor");
    CHECK_REFUSED(stop_price_ticks, 5, "stop_price_ticks");
    CHECK_REFUSED(quote_minor, 5, "quote_minor");
    CHECK_REFUSED(display_lots, 11, "display_lots");
    CHECK_REFUSED(expires_at_us, 5, "expires_at_us");
    cr_assert(engine_orders_count(room.engine) == 0);
    room_release(&room);
}

Test(commands, market_with_a_symbol_that_cannot_be_a_key_is_refused)
{
    struct room room = room_with_market();
    static const char *const symbols[] = { "", "A B", "A\x01", "\xc3\xa4", "A-NAME-OF-MORE-THAN-THIRTY-ONE-BYTES" };

    for (size_t i = 0; i < ARRAY_LEN(symbols); i++) {
        Penstock__Markets__V1__MarketConfigured market = market_message();

        market.symbol = (char *)symbols[i];
        cr_assert(!apply(&room, &market.base), "%s", symbols[i]);
        cr_assert_str_eq(room.error.field, "symbol");
    }
    room_release(&room);
}

Test(commands, what_does_not_decode_is_invalid_and_changes_nothing)
{
    struct room room = room_with_market();
    Penstock__Orders__V1__OrderAccepted order = order_message(1);
    uint8_t value[VALUE_MAX];
    size_t len = protobuf_c_message_pack(&order.base, value);

    for (size_t cut = 1; cut < len; cut++) {
        struct event event = { .type = order.base.descriptor->name, .key = { SYMBOL, strlen(SYMBOL) } };
        struct error e = { 0 };

        event.value = (struct bytes){ value, cut };
        /* Cut between two fields it is another order: then a rule refuses it, or it lacks the last one. */
        if (!commands_apply(room.engine, room.scratch, &event, &e))
            cr_assert(e.kind == ERROR_INVALID || e.kind == ERROR_REFUSED);
    }

    struct event unknown = { .type = "penstock.orders.v1.OrderOpened", .key = { SYMBOL, strlen(SYMBOL) } };

    cr_assert(!commands_apply(room.engine, room.scratch, &unknown, &room.error));
    cr_assert(room.error.kind == ERROR_INVALID);
    cr_assert_str_eq(room.error.field, "ce_type");
    room_release(&room);
}
