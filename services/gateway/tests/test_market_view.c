#include "market_view.h"

#include "market_data_v1.pb-c.h"
#include "markets_v1.pb-c.h"
#include "trades_v1.pb-c.h"

#include <criterion/criterion.h>
#include <string.h>

enum { BUY = PENSTOCK__ORDERS__V1__SIDE__SIDE_BUY, SELL = PENSTOCK__ORDERS__V1__SIDE__SIDE_SELL };

static uint8_t encoded[4096];

static bool apply(struct market_view *view, const ProtobufCMessage *message, struct error *e)
{
    struct event event = { .topic = "test", .id = "1", .source = "/test", .type = message->descriptor->name };
    event.value = (struct bytes){ encoded, protobuf_c_message_pack(message, encoded) };
    memset(e, 0, sizeof *e);
    return market_view_apply(view, &event, e);
}

static struct market_view *view_with_market(void)
{
    struct market_view *view = market_view_new();
    struct error e;
    Penstock__Markets__V1__MarketConfigured m = PENSTOCK__MARKETS__V1__MARKET_CONFIGURED__INIT;
    m.symbol = (char *)"BTC-USD";
    m.base_asset = (char *)"BTC";
    m.quote_asset = (char *)"USD";
    m.tick_size = (char *)"0.05";
    m.lot_size = (char *)"0.001";
    m.min_quantity_lots = 1;
    m.max_quantity_lots = 1000;
    m.max_price_ticks = 1000000;
    m.status = PENSTOCK__MARKETS__V1__MARKET_STATUS__MARKET_STATUS_OPEN;
    cr_assert(apply(view, &m.base, &e), "%s", e.message);
    return view;
}

static bool change_checked(
    struct market_view *view, uint64_t book_seq, int side, int64_t price, int64_t lots, uint32_t checksum)
{
    struct error e;
    Penstock__MarketData__V1__LevelChange level = PENSTOCK__MARKET_DATA__V1__LEVEL_CHANGE__INIT;
    level.side = (Penstock__Orders__V1__Side)side;
    level.price_ticks = price;
    level.quantity_lots = lots;
    level.orders = 1;
    Penstock__MarketData__V1__BookChanged m = PENSTOCK__MARKET_DATA__V1__BOOK_CHANGED__INIT;
    m.symbol = (char *)"BTC-USD";
    m.book_seq = book_seq;
    m.n_changes = 1;
    m.changes = (Penstock__MarketData__V1__LevelChange *[]){ &level };
    m.checksum = checksum;
    return apply(view, &m.base, &e);
}

static bool change(struct market_view *view, uint64_t book_seq, int side, int64_t price, int64_t lots)
{
    return change_checked(view, book_seq, side, price, lots, 0);
}

static const char *price_at(const json_t *book, const char *side, size_t index)
{
    return json_string_value(json_object_get(json_array_get(json_object_get(book, side), index), "price"));
}

Test(market_view, levels_come_best_first_and_vanish_at_zero)
{
    struct error e = { 0 };
    CLEANUP(market_view_free) struct market_view *view = view_with_market();
    cr_assert(change(view, 1, BUY, 100, 5));
    cr_assert(change(view, 2, BUY, 120, 7));
    cr_assert(change(view, 3, BUY, 110, 9));
    cr_assert(change(view, 4, SELL, 140, 1));
    cr_assert(change(view, 5, SELL, 130, 2));
    cr_assert(change(view, 6, BUY, 110, 0));
    json_t *book = market_view_book(view, "BTC-USD", 10, &e);
    cr_assert_not_null(book, "%s", e.message);
    cr_assert_str_eq(price_at(book, "bids", 0), "6.00");
    cr_assert_str_eq(price_at(book, "bids", 1), "5.00");
    cr_assert_null(price_at(book, "bids", 2));
    cr_assert_str_eq(price_at(book, "asks", 0), "6.50");
    cr_assert_eq(json_integer_value(json_object_get(book, "book_seq")), 6);
    json_decref(book);
}

Test(market_view, a_gap_makes_the_book_ask_for_a_snapshot_and_the_snapshot_heals_it)
{
    struct error e = { 0 };
    CLEANUP(market_view_free) struct market_view *view = view_with_market();
    cr_assert(change(view, 1, BUY, 100, 5));
    cr_assert(change(view, 3, BUY, 120, 7));
    cr_assert_null(market_view_book(view, "BTC-USD", 10, &e));
    cr_assert_eq(e.kind, ERROR_TRANSIENT);
    cr_assert_str_eq(e.problem, "book-not-current");
    json_t *snapshot = json_pack("{s:s, s:[{s:s, s:s, s:i}], s:[]}", "book_seq", "4", "bids", "price_ticks", "110",
        "quantity_lots", "3", "orders", 1, "asks");
    cr_assert(market_view_load_book(view, "BTC-USD", snapshot, &e), "%s", e.message);
    cr_assert(change(view, 4, BUY, 999, 1), "what the snapshot holds already is passed over");
    cr_assert(change(view, 5, BUY, 111, 2));
    json_t *book = market_view_book(view, "BTC-USD", 10, &e);
    cr_assert_str_eq(price_at(book, "bids", 0), "5.55");
    cr_assert_str_eq(price_at(book, "bids", 1), "5.50");
    cr_assert_null(price_at(book, "bids", 2));
    json_decref(book);
    json_decref(snapshot);
}

Test(market_view, a_stale_snapshot_does_not_turn_the_book_back)
{
    struct error e = { 0 };
    CLEANUP(market_view_free) struct market_view *view = view_with_market();
    cr_assert(change(view, 1, BUY, 100, 5));
    cr_assert(change(view, 2, BUY, 101, 5));
    json_t *snapshot = json_pack("{s:s, s:[], s:[]}", "book_seq", "1", "bids", "asks");
    cr_assert(market_view_load_book(view, "BTC-USD", snapshot, &e));
    json_t *book = market_view_book(view, "BTC-USD", 10, &e);
    cr_assert_eq(json_array_size(json_object_get(book, "bids")), 2);
    json_decref(book);
    json_decref(snapshot);
}

Test(market_view, an_unknown_market_is_not_found)
{
    struct error e = { 0 };
    CLEANUP(market_view_free) struct market_view *view = view_with_market();
    cr_assert_null(market_view_book(view, "XXX-USD", 10, &e));
    cr_assert_eq(e.kind, ERROR_NOT_FOUND);
    cr_assert_str_eq(e.problem, "unknown-symbol");
}

Test(market_view, trades_come_newest_first_and_the_ring_forgets_the_oldest)
{
    struct error e;
    CLEANUP(market_view_free) struct market_view *view = view_with_market();
    for (uint64_t id = 1; id <= MARKET_VIEW_TRADES_MAX + 5; id++) {
        Penstock__Trades__V1__TradeExecuted m = PENSTOCK__TRADES__V1__TRADE_EXECUTED__INIT;
        m.symbol = (char *)"BTC-USD";
        m.trade_id = id;
        m.price_ticks = 100;
        m.quantity_lots = 1;
        m.taker_side = PENSTOCK__ORDERS__V1__SIDE__SIDE_SELL;
        cr_assert(apply(view, &m.base, &e));
    }
    json_t *trades = market_view_trades(view, "BTC-USD", 2000, &e);
    cr_assert_eq(json_array_size(trades), MARKET_VIEW_TRADES_MAX);
    cr_assert_str_eq(json_string_value(json_object_get(json_array_get(trades, 0), "trade_id")), "1005");
    cr_assert_str_eq(json_string_value(json_object_get(json_array_get(trades, 999), "trade_id")), "6");
    cr_assert_str_eq(json_string_value(json_object_get(json_array_get(trades, 0), "taker_side")), "sell");
    json_decref(trades);
}

/* The figures are zlib's. */
Test(market_view, a_book_is_held_against_the_checksum_of_its_ten_best_levels)
{
    struct error e = { 0 };
    CLEANUP(market_view_free) struct market_view *view = view_with_market();
    cr_assert(change_checked(view, 1, BUY, 100, 5, 4254116459u)); /* 100:5| */
    cr_assert(change_checked(view, 2, BUY, 120, 7, 3206638942u)); /* 120:7|100:5| */
    for (int i = 0; i < 10; i++)
        cr_assert(change(view, 3 + (uint64_t)i, BUY, 130 + i, 1));
    cr_assert(change_checked(view, 13, SELL, 500, 3, 1000857405u)); /* 139:1| … 130:1|500:3| */
    json_t *book = market_view_book(view, "BTC-USD", 1, &e);
    cr_assert_not_null(book);
    json_decref(book);
    cr_assert_not(change_checked(view, 14, SELL, 501, 3, 77));
    cr_assert_null(market_view_book(view, "BTC-USD", 1, &e));
    cr_assert_str_eq(e.problem, "book-not-current");
}
