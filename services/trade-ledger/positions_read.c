/* GET /portfolio/positions. Movements never change, so each account's position is kept with the last entry that is in
 * it, and only what came since is read. A long history is read over several questions. */
#include "http.h"
#include "positions.h"
#include "reading.h"
#include "sql.h"
#include "views.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum {
    KEPT_MAX = 4096, /* positions; who finds another's in his place begins anew */
    MOVES_A_PAGE = 5000,
    MOVES_A_QUESTION = 50000, /* then the answer says that it is not complete */
};

/* By account id modulo their number. */
struct position_cache {
    pthread_mutex_t lock;
    struct {
        int64_t account_id;
        struct position position;
    } at[KEPT_MAX];
};

struct position_cache *position_cache_new(void)
{
    struct position_cache *cache = xcalloc(1, sizeof *cache);
    pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

void position_cache_free(struct position_cache *cache)
{
    if (!cache)
        return;
    pthread_mutex_destroy(&cache->lock);
    xfree(cache);
}

static struct position kept_find(struct position_cache *cache, int64_t account_id)
{
    struct position position = { 0 };
    size_t at = (size_t)account_id % KEPT_MAX;
    if (!cache)
        return position;
    pthread_mutex_lock(&cache->lock);
    if (cache->at[at].account_id == account_id)
        position = cache->at[at].position;
    pthread_mutex_unlock(&cache->lock);
    return position;
}

static void kept_put(struct position_cache *cache, int64_t account_id, const struct position *position)
{
    size_t at = (size_t)account_id % KEPT_MAX;
    if (!cache)
        return;
    pthread_mutex_lock(&cache->lock);
    cache->at[at].account_id = account_id;
    cache->at[at].position = *position;
    pthread_mutex_unlock(&cache->lock);
}

/* The entries of one journal are one move; the last journal of a full page may go on in the next. */
static void fold(struct position *position, const struct pg_result *rows)
{
    size_t count = pg_rows(rows);
    int64_t last_journal = count > 0 ? pg_get_int64(rows, count - 1, 1) : 0;
    bool full = count == MOVES_A_PAGE && pg_get_int64(rows, 0, 1) != last_journal;
    for (size_t i = 0; i < count;) {
        int64_t journal_id = pg_get_int64(rows, i, 1), last_id = 0;
        if (full && journal_id == last_journal)
            return;
        struct position_move move = { .quote_delta = pg_get_int64(rows, i, 3) };
        for (; i < count && pg_get_int64(rows, i, 1) == journal_id; i++) {
            move.base_delta += pg_get_int64(rows, i, 2);
            last_id = pg_get_int64(rows, i, 0);
        }
        position_move(position, &move);
        position->last_entry_id = last_id;
    }
}

struct asked {
    int64_t account_id, quote_account_id;
    const struct market *market;
};

static bool read_position(
    struct pg *pg, const struct asked *asked, struct position *ret_position, bool *ret_complete, struct error *e)
{
    char trades[SYMBOL_MAX + 8];
    struct position_cache *cache = reading_service()->positions;
    snprintf(trades, sizeof trades, "trade:%s:", asked->market->symbol);
    *ret_position = kept_find(cache, asked->account_id);
    *ret_complete = false;
    for (int read = 0; read < MOVES_A_QUESTION && !*ret_complete; read += MOVES_A_PAGE) {
        CLEANUP(pg_result_free) struct pg_result *rows = NULL;
        pg_arg_int64(pg, asked->account_id);
        pg_arg_int64(pg, ret_position->last_entry_id);
        pg_arg_int64(pg, asked->quote_account_id);
        pg_arg_text(pg, trades);
        pg_arg_int64(pg, MOVES_A_PAGE);
        if (!pg_query(pg, &sql_position_moves, &rows, e))
            return false;
        fold(ret_position, rows);
        *ret_complete = pg_rows(rows) < MOVES_A_PAGE;
    }
    kept_put(cache, asked->account_id, ret_position);
    return true;
}

static void set(json_t *object, const char *name, json_t *value)
{
    json_object_set_new(object, name, value);
}

/* null for what no balance could hold. */
static json_t *wide_amount(const struct asset *asset, __int128 minor)
{
    return minor > INT64_MAX || minor < INT64_MIN ? json_null() : view_amount(asset, (int64_t)minor);
}

static __int128 unit_of(const struct asset *asset)
{
    __int128 unit = 1;
    for (uint32_t i = 0; i < asset->scale; i++)
        unit *= 10;
    return unit;
}

/* The quote: the last trade's price, before the first the market's reference price. */
static void set_value(json_t *json, const struct position *position, const struct market *market, int64_t last_ticks)
{
    int64_t ticks = last_ticks > 0 ? last_ticks : market->reference_price_ticks;
    __int128 value = position_value(market, position->quantity, ticks);
    bool quoted = ticks > 0;
    set(json, "price", quoted ? view_price(market, ticks) : json_null());
    set(json, "price_source", !quoted ? json_null() : json_string(last_ticks > 0 ? "last_trade" : "reference"));
    set(json, "value", quoted ? wide_amount(market->quote, value) : json_null());
    set(json, "unrealised_profit", quoted ? wide_amount(market->quote, value - position->cost) : json_null());
}

static json_t *position_json(
    const struct asked *asked, const struct position *position, bool complete, int64_t last_ticks)
{
    const struct market *market = asked->market;
    json_t *json = json_object();
    set(json, "asset", json_string(market->base->code));
    set(json, "account_id", view_id((uint64_t)asked->account_id));
    set(json, "symbol", json_string(market->symbol));
    set(json, "quote", json_string(market->quote->code));
    set(json, "quantity", view_amount(market->base, position->quantity));
    set(json, "cost", wide_amount(market->quote, position->cost));
    set(json, "average_cost",
        position->quantity > 0 ? wide_amount(market->quote, position->cost * unit_of(market->base) / position->quantity)
                               : json_null());
    set(json, "realised_profit", wide_amount(market->quote, position->realised));
    set_value(json, position, market, last_ticks);
    set(json, "quantity_without_cost", view_amount(market->base, position->without_cost));
    set(json, "proceeds_without_cost", wide_amount(market->quote, position->proceeds_without_cost));
    set(json, "complete", json_boolean(complete));
    return json;
}

static bool find_accounts(struct pg *pg, const struct markets *markets, uint64_t user_id, struct arena *arena,
    struct pg_result **ret_rows, struct error *e)
{
    int32_t *assets = arena_alloc(arena, (markets->asset_count + 1) * sizeof *assets);
    int32_t *quotes = arena_alloc(arena, (markets->asset_count + 1) * sizeof *quotes);
    size_t count = 0;
    for (size_t i = 0; i < markets->asset_count; i++) {
        const struct market *market = position_market(markets, markets->assets[i].id);
        if (!market)
            continue;
        assets[count] = market->base->id;
        quotes[count++] = market->quote->id;
    }
    pg_arg_int64(pg, (int64_t)user_id);
    pg_arg_int32s(pg, assets, count);
    pg_arg_int32s(pg, quotes, count);
    return pg_query(pg, &sql_position_accounts, ret_rows, e);
}

static bool last_price(struct pg *pg, const struct market *market, int64_t *ret_ticks, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    pg_arg_int32s(pg, &market->id, 1);
    if (!pg_query(pg, &sql_market_states, &rows, e))
        return false;
    *ret_ticks = pg_rows(rows) > 0 ? pg_get_int64(rows, 0, 2) : 0;
    return true;
}

static bool append_positions(
    struct pg *pg, const struct markets *markets, const struct pg_result *accounts, json_t *list, struct error *e)
{
    for (size_t i = 0; i < pg_rows(accounts); i++) {
        struct position position;
        bool complete;
        int64_t last_ticks;
        struct asked asked = { .account_id = pg_get_int64(accounts, i, 0),
            .quote_account_id = pg_get_int64(accounts, i, 2),
            .market = position_market(markets, (int32_t)pg_get_int64(accounts, i, 1)) };
        if (!read_position(pg, &asked, &position, &complete, e) || !last_price(pg, asked.market, &last_ticks, e))
            return false;
        json_array_append_new(list, position_json(&asked, &position, complete, last_ticks));
    }
    return true;
}

bool get_positions(
    struct pg *pg, struct outbox *outbox, const struct http_request *request, struct http_reply *reply, struct error *e)
{
    (void)outbox;
    MARKETS_REF(markets);
    CLEANUP(arena_free) struct arena *arena = arena_new();
    CLEANUP(pg_result_free) struct pg_result *accounts = NULL;
    if (!find_accounts(pg, markets.set, request->claims.user_id, arena, &accounts, e))
        return false;
    json_t *list = json_array();
    if (!append_positions(pg, markets.set, accounts, list, e)) {
        json_decref(list);
        return false;
    }
    reply->json = json_object();
    set(reply->json, "positions", list);
    set(reply->json, "as_of", view_time(now_us()));
    return true;
}
