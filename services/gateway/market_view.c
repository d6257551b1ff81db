/* market_view.c -- see market_view.h. Books are sorted arrays: best price last, so that changes near the touch move
 * little. */
#include "market_view.h"

#include "../chassis/decimal.h"
#include "../chassis/http.h"
#include "market_data_v1.pb-c.h"
#include "markets_v1.pb-c.h"
#include "trades_v1.pb-c.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE_BUY = PENSTOCK__ORDERS__V1__SIDE__SIDE_BUY, SIDE_SELL = PENSTOCK__ORDERS__V1__SIDE__SIDE_SELL };

struct level {
    int64_t price_ticks, quantity_lots;
    uint32_t orders;
};

struct ladder {
    struct level *levels; /* from worst to best */
    size_t count, capacity;
};

struct trade {
    uint64_t trade_id;
    int64_t price_ticks, quantity_lots, at_us;
    int taker_side;
};

struct market {
    char symbol[32], base[16], quote[16], tick_size[DECIMAL_TEXT_MAX], lot_size[DECIMAL_TEXT_MAX];
    int64_t tick_minor, lot_minor, min_quantity_lots, max_quantity_lots,
        max_price_ticks; /* of 10^-DECIMAL_SCALE_MAX units */
    unsigned tick_decimals, lot_decimals;
    uint32_t maker_fee_ppm, taker_fee_ppm;
    int status;
    bool configured, current;
    uint64_t book_seq, seq;
    struct ladder bids, asks;
    struct trade trades[MARKET_VIEW_TRADES_MAX]; /* ring */
    size_t trade_count, trade_next;
};

struct market_view {
    pthread_mutex_t lock;
    struct market *markets[MARKET_VIEW_MARKETS_MAX];
    size_t count;
};

struct market_view *market_view_new(void)
{
    struct market_view *view = xcalloc(1, sizeof *view);
    pthread_mutex_init(&view->lock, NULL);
    return view;
}

void market_view_free(struct market_view *view)
{
    if (!view)
        return;
    for (size_t i = 0; i < view->count; i++) {
        xfree(view->markets[i]->bids.levels);
        xfree(view->markets[i]->asks.levels);
        xfree(view->markets[i]);
    }
    pthread_mutex_destroy(&view->lock);
    xfree(view);
}

/* ---- Markets ---- */

static struct market *find(struct market_view *view, const char *symbol)
{
    for (size_t i = 0; i < view->count; i++)
        if (strcmp(view->markets[i]->symbol, symbol) == 0)
            return view->markets[i];
    return NULL;
}

static struct market *find_or_add(struct market_view *view, const char *symbol, struct error *e)
{
    struct market *market = find(view, symbol);
    if (market)
        return market;
    if (view->count == MARKET_VIEW_MARKETS_MAX || strlen(symbol) >= sizeof market->symbol || !*symbol) {
        error_field(e, ERROR_INVALID, "", "symbol", "too many markets or not a symbol");
        return NULL;
    }
    market = xcalloc(1, sizeof *market);
    strcpy(market->symbol, symbol);
    view->markets[view->count++] = market;
    return market;
}

static struct market *find_configured(struct market_view *view, const char *symbol, struct error *e)
{
    struct market *market = find(view, symbol);
    if (market && market->configured)
        return market;
    error_field(e, ERROR_NOT_FOUND, "unknown-symbol", "symbol", "no such market");
    return NULL;
}

static unsigned decimals_of(const char *decimal)
{
    const char *point = strchr(decimal, '.');
    return point ? (unsigned)strlen(point + 1) : 0;
}

static bool apply_configured(
    struct market_view *view, const Penstock__Markets__V1__MarketConfigured *m, struct error *e)
{
    struct market *market = find_or_add(view, m->symbol, e);
    if (!market)
        return false;
    if (strlen(m->base_asset) >= sizeof market->base || strlen(m->quote_asset) >= sizeof market->quote ||
        strlen(m->tick_size) >= sizeof market->tick_size || strlen(m->lot_size) >= sizeof market->lot_size)
        return error_field(e, ERROR_INVALID, "", "symbol", "a name of the market is too long");
    unsigned tick_decimals = decimals_of(m->tick_size), lot_decimals = decimals_of(m->lot_size);
    int64_t tick, lot;
    if (!decimal_parse(m->tick_size, tick_decimals, "tick_size", &tick, e) ||
        !decimal_parse(m->lot_size, lot_decimals, "lot_size", &lot, e))
        return false;
    strcpy(market->base, m->base_asset);
    strcpy(market->quote, m->quote_asset);
    strcpy(market->tick_size, m->tick_size);
    strcpy(market->lot_size, m->lot_size);
    market->tick_minor = tick;
    market->lot_minor = lot;
    market->tick_decimals = tick_decimals;
    market->lot_decimals = lot_decimals;
    market->min_quantity_lots = m->min_quantity_lots;
    market->max_quantity_lots = m->max_quantity_lots;
    market->max_price_ticks = m->max_price_ticks;
    market->maker_fee_ppm = m->maker_fee_ppm;
    market->taker_fee_ppm = m->taker_fee_ppm;
    market->status = (int)m->status;
    market->configured = true;
    return true;
}

/* ---- Books ---- */

/* Where `price` stands or would stand. `best_high`: bids rise towards the end of the array, asks fall. */
static size_t ladder_position(const struct ladder *ladder, int64_t price, bool best_high)
{
    size_t low = 0, high = ladder->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        bool before =
            best_high ? ladder->levels[middle].price_ticks < price : ladder->levels[middle].price_ticks > price;
        if (before)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool ladder_set(struct ladder *ladder, bool best_high, struct level level)
{
    size_t at = ladder_position(ladder, level.price_ticks, best_high);
    bool present = at < ladder->count && ladder->levels[at].price_ticks == level.price_ticks;
    if (level.quantity_lots == 0) {
        if (present) {
            memmove(&ladder->levels[at], &ladder->levels[at + 1], (ladder->count - at - 1) * sizeof level);
            ladder->count--;
        }
        return true;
    }
    if (!present) {
        if (ladder->count == MARKET_VIEW_LEVELS_MAX)
            return false;
        if (ladder->count == ladder->capacity) {
            ladder->capacity = ladder->capacity ? ladder->capacity * 2 : 64;
            ladder->levels = xrealloc(ladder->levels, ladder->capacity * sizeof level);
        }
        memmove(&ladder->levels[at + 1], &ladder->levels[at], (ladder->count - at) * sizeof level);
        ladder->count++;
    }
    ladder->levels[at] = level;
    return true;
}

/* CRC-32 (IEEE), four bits at a time: a book change has some hundred bytes. */
static uint32_t crc32_add(uint32_t crc, const char *text, size_t len)
{
    static const uint32_t table[16] = { 0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278,
        0xbdbdf21c };
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned char)text[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return crc;
}

/* As BookChanged.checksum describes it: the best levels of bids, then asks, from the touch outwards. */
static uint32_t checksum_of(const struct market *market)
{
    enum { LEVELS = 10 };
    const struct ladder *sides[] = { &market->bids, &market->asks };
    uint32_t crc = UINT32_MAX;
    char text[64];
    for (size_t side = 0; side < ARRAY_LEN(sides); side++)
        for (size_t i = 0; i < LEVELS && i < sides[side]->count; i++) {
            const struct level *level = &sides[side]->levels[sides[side]->count - 1 - i];
            int len = snprintf(text, sizeof text, "%" PRId64 ":%" PRId64 "|", level->price_ticks, level->quantity_lots);
            crc = crc32_add(crc, text, (size_t)len);
        }
    return ~crc;
}

static bool apply_book(struct market_view *view, const Penstock__MarketData__V1__BookChanged *m, struct error *e)
{
    struct market *market = find_or_add(view, m->symbol, e);
    if (!market)
        return false;
    if (!market->current && market->book_seq == 0 && m->book_seq == 1)
        market->current = true; /* the very first change of a market: the book before it was empty */
    if (!market->current || m->book_seq <= market->book_seq)
        return true;
    if (m->book_seq != market->book_seq + 1) {
        market->current = false;
        return true;
    }
    for (size_t i = 0; i < m->n_changes; i++) {
        const Penstock__MarketData__V1__LevelChange *c = m->changes[i];
        bool buy = (int)c->side == SIDE_BUY;
        if ((!buy && (int)c->side != SIDE_SELL) || c->price_ticks <= 0 || c->quantity_lots < 0) {
            market->current = false;
            return error_field(e, ERROR_INVALID, "", "changes", "a level without side, price or quantity");
        }
        struct level level = { c->price_ticks, c->quantity_lots, c->orders };
        if (!ladder_set(buy ? &market->bids : &market->asks, buy, level)) {
            market->current = false;
            return error_field(e, ERROR_INVALID, "", "changes", "more than %d levels", MARKET_VIEW_LEVELS_MAX);
        }
    }
    market->book_seq = m->book_seq;
    market->seq = m->seq;
    if (m->checksum != 0 && m->checksum != checksum_of(market)) {
        market->current = false; /* it is fetched anew */
        return error_field(e, ERROR_INVALID, "", "checksum", "the book of %s is not the engine's", market->symbol);
    }
    return true;
}

static bool load_side(struct ladder *ladder, bool best_high, const json_t *levels, const char *field, struct error *e)
{
    size_t i;
    const json_t *row;
    ladder->count = 0;
    json_array_foreach(levels, i, row)
    {
        struct level level = { .price_ticks = json_int64(row, "price_ticks"),
            .quantity_lots = json_int64(row, "quantity_lots"),
            .orders = (uint32_t)json_integer_value(json_object_get(row, "orders")) };
        if (level.price_ticks <= 0 || level.quantity_lots <= 0 || !ladder_set(ladder, best_high, level))
            return error_field(e, ERROR_INVALID, "", field, "the engine's snapshot has a bad level");
    }
    return true;
}

bool market_view_load_book(struct market_view *view, const char *symbol, const json_t *snapshot, struct error *e)
{
    const json_t *bids = json_object_get(snapshot, "bids"), *asks = json_object_get(snapshot, "asks");
    if (!json_is_string(json_object_get(snapshot, "book_seq")) || !json_is_array(bids) || !json_is_array(asks))
        return error_set(e, ERROR_INVALID, "the engine's snapshot lacks book_seq, bids or asks");
    pthread_mutex_lock(&view->lock);
    struct market *market = find_configured(view, symbol, e);
    bool ok = market;
    uint64_t at = (uint64_t)json_int64(snapshot, "book_seq");
    if (ok && !(market->current && market->book_seq >= at)) {
        market->current = false;
        ok = load_side(&market->bids, true, bids, "bids", e) && load_side(&market->asks, false, asks, "asks", e);
        market->book_seq = at;
        market->current = ok;
    }
    pthread_mutex_unlock(&view->lock);
    return ok;
}

/* ---- Trades ---- */

static bool apply_trade(struct market_view *view, const Penstock__Trades__V1__TradeExecuted *m, struct error *e)
{
    struct market *market = find_or_add(view, m->symbol, e);
    if (!market)
        return false;
    market->trades[market->trade_next] = (struct trade){ .trade_id = m->trade_id,
        .price_ticks = m->price_ticks,
        .quantity_lots = m->quantity_lots,
        .at_us = m->at_us,
        .taker_side = (int)m->taker_side };
    market->trade_next = (market->trade_next + 1) % MARKET_VIEW_TRADES_MAX;
    if (market->trade_count < MARKET_VIEW_TRADES_MAX)
        market->trade_count++;
    return true;
}

/* ---- Events in ---- */

static bool apply_message(struct market_view *view, const ProtobufCMessage *message, struct error *e)
{
    if (message->descriptor == &penstock__markets__v1__market_configured__descriptor)
        return apply_configured(view, (const Penstock__Markets__V1__MarketConfigured *)message, e);
    if (message->descriptor == &penstock__market_data__v1__book_changed__descriptor)
        return apply_book(view, (const Penstock__MarketData__V1__BookChanged *)message, e);
    return apply_trade(view, (const Penstock__Trades__V1__TradeExecuted *)message, e);
}

bool market_view_apply(struct market_view *view, const struct event *event, struct error *e)
{
    static const ProtobufCMessageDescriptor *const known[] = { &penstock__markets__v1__market_configured__descriptor,
        &penstock__market_data__v1__book_changed__descriptor, &penstock__trades__v1__trade_executed__descriptor };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(event->type, known[i]->name) != 0)
            continue;
        ProtobufCMessage *message;
        if (!event_decode(event, known[i], &message, e))
            return false;
        pthread_mutex_lock(&view->lock);
        bool ok = apply_message(view, message, e);
        pthread_mutex_unlock(&view->lock);
        protobuf_c_message_free_unpacked(message, NULL);
        return ok;
    }
    return error_field(e, ERROR_INVALID, "", "ce_type", "not a type of this topic");
}

/* ---- JSON out ---- */

static json_t *price_json(const struct market *market, int64_t price_ticks)
{
    char text[DECIMAL_TEXT_MAX];
    return json_string(
        decimal_format(price_ticks * market->tick_minor, market->tick_decimals, market->tick_decimals, text));
}

static json_t *quantity_json(const struct market *market, int64_t quantity_lots)
{
    char text[DECIMAL_TEXT_MAX];
    return json_string(decimal_format(quantity_lots * market->lot_minor, market->lot_decimals, 0, text));
}

static json_t *side_json(const struct market *market, const struct ladder *ladder, size_t depth)
{
    json_t *levels = json_array();
    for (size_t i = 0; i < depth && i < ladder->count; i++) {
        const struct level *level = &ladder->levels[ladder->count - 1 - i];
        json_array_append_new(
            levels, json_pack("{s:o, s:o, s:I}", "price", price_json(market, level->price_ticks), "quantity",
                        quantity_json(market, level->quantity_lots), "orders", (json_int_t)level->orders));
    }
    return levels;
}

json_t *market_view_book(struct market_view *view, const char *symbol, size_t depth, struct error *e)
{
    json_t *book = NULL;
    pthread_mutex_lock(&view->lock);
    struct market *market = find_configured(view, symbol, e);
    if (market && !market->current)
        error_field(e, ERROR_TRANSIENT, "book-not-current", "symbol", "the book is being fetched; try again");
    else if (market)
        book = json_pack("{s:s, s:I, s:o, s:o}", "symbol", market->symbol, "book_seq", (json_int_t)market->book_seq,
            "bids", side_json(market, &market->bids, depth), "asks", side_json(market, &market->asks, depth));
    pthread_mutex_unlock(&view->lock);
    return book;
}

static json_t *trade_json(const struct market *market, const struct trade *trade)
{
    char id[24], time[EVENT_TIME_MAX];
    snprintf(id, sizeof id, "%llu", (unsigned long long)trade->trade_id);
    event_time_format(trade->at_us, time);
    return json_pack("{s:s, s:o, s:o, s:s, s:s}", "trade_id", id, "price", price_json(market, trade->price_ticks),
        "quantity", quantity_json(market, trade->quantity_lots), "taker_side",
        trade->taker_side == SIDE_BUY ? "buy" : "sell", "executed_at", time);
}

json_t *market_view_trades(struct market_view *view, const char *symbol, size_t limit, struct error *e)
{
    json_t *trades = NULL;
    pthread_mutex_lock(&view->lock);
    struct market *market = find_configured(view, symbol, e);
    if (market) {
        trades = json_array();
        for (size_t i = 0; i < limit && i < market->trade_count; i++) {
            size_t at = (market->trade_next + MARKET_VIEW_TRADES_MAX - 1 - i) % MARKET_VIEW_TRADES_MAX;
            json_array_append_new(trades, trade_json(market, &market->trades[at]));
        }
    }
    pthread_mutex_unlock(&view->lock);
    return trades;
}

static const char *status_name(int status)
{
    static const char *const names[] = { "unspecified", "open", "halted", "cancel_only", "auction" };
    return status >= 0 && (size_t)status < ARRAY_LEN(names) ? names[status] : "unspecified";
}

static json_t *market_json(const struct market *m)
{
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "symbol", m->symbol, "base_asset", m->base,
        "quote_asset", m->quote, "tick_size", m->tick_size, "lot_size", m->lot_size, "status", status_name(m->status));
    json_object_set_new(json, "min_quantity", quantity_json(m, m->min_quantity_lots));
    json_object_set_new(json, "max_quantity", quantity_json(m, m->max_quantity_lots));
    json_object_set_new(json, "max_price", price_json(m, m->max_price_ticks));
    json_object_set_new(json, "maker_fee_ppm", json_integer(m->maker_fee_ppm));
    json_object_set_new(json, "taker_fee_ppm", json_integer(m->taker_fee_ppm));
    const struct trade *last =
        m->trade_count ? &m->trades[(m->trade_next + MARKET_VIEW_TRADES_MAX - 1) % MARKET_VIEW_TRADES_MAX] : NULL;
    json_object_set_new(json, "last_price", last ? price_json(m, last->price_ticks) : json_null());
    return json;
}

json_t *market_view_markets(struct market_view *view)
{
    json_t *markets = json_array();
    pthread_mutex_lock(&view->lock);
    for (size_t i = 0; i < view->count; i++)
        if (view->markets[i]->configured)
            json_array_append_new(markets, market_json(view->markets[i]));
    pthread_mutex_unlock(&view->lock);
    return markets;
}
