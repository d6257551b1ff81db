#include "markets.h"

#include "../chassis/decimal.h"
#include "sql.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct markets_cache {
    pthread_mutex_t mutex;
    struct markets *current;
};

const struct asset *asset_by_code(const struct markets *markets, const char *code)
{
    for (size_t i = 0; i < markets->asset_count; i++) {
        if (strcmp(markets->assets[i].code, code) == 0)
            return &markets->assets[i];
    }
    return NULL;
}

const struct asset *asset_by_id(const struct markets *markets, int32_t id)
{
    for (size_t i = 0; i < markets->asset_count; i++) {
        if (markets->assets[i].id == id)
            return &markets->assets[i];
    }
    return NULL;
}

const struct market *market_by_symbol(const struct markets *markets, const char *symbol)
{
    for (size_t i = 0; i < markets->market_count; i++) {
        if (strcmp(markets->markets[i].symbol, symbol) == 0)
            return &markets->markets[i];
    }
    return NULL;
}

const struct market *market_by_id(const struct markets *markets, int32_t id)
{
    for (size_t i = 0; i < markets->market_count; i++) {
        if (markets->markets[i].id == id)
            return &markets->markets[i];
    }
    return NULL;
}

static void markets_free(struct markets *markets)
{
    xfree(markets->assets);
    xfree(markets->markets);
    xfree(markets);
}
DEFINE_CLEANUP(struct markets *, markets_free)

struct markets_cache *markets_cache_new(void)
{
    struct markets_cache *cache = xcalloc(1, sizeof *cache);
    pthread_mutex_init(&cache->mutex, NULL);
    cache->current = xcalloc(1, sizeof *cache->current);
    cache->current->references = 1;
    return cache;
}

void markets_cache_free(struct markets_cache *cache)
{
    if (!cache)
        return;
    assert(cache->current->references == 1);
    markets_free(cache->current);
    pthread_mutex_destroy(&cache->mutex);
    xfree(cache);
}

const struct markets *markets_get(struct markets_cache *cache)
{
    pthread_mutex_lock(&cache->mutex);
    struct markets *markets = cache->current;
    markets->references++;
    pthread_mutex_unlock(&cache->mutex);
    return markets;
}

void markets_put(struct markets_cache *cache, const struct markets *markets)
{
    struct markets *mine = (struct markets *)markets;
    pthread_mutex_lock(&cache->mutex);
    bool last = --mine->references == 0;
    pthread_mutex_unlock(&cache->mutex);
    if (last)
        markets_free(mine);
}

static unsigned decimals_of(const char *text)
{
    const char *point = strchr(text, '.');
    return point ? (unsigned)strlen(point + 1) : 0;
}

static bool contradiction(const struct market *market, const char *what, struct error *e)
{
    return error_field(e, ERROR_FATAL, "", "markets", "market %s: %s", market->symbol, what);
}

bool market_units(struct market *market, struct error *e)
{
    struct error ignored = { 0 };
    unsigned tick_scale = decimals_of(market->tick_size);
    int64_t lot_minor;
    if (tick_scale > DECIMAL_SCALE_MAX ||
        !decimal_parse(market->tick_size, tick_scale, "tick_size", &market->tick_units, &ignored) ||
        market->tick_units <= 0)
        return contradiction(market, "tick_size is not a positive decimal", e);
    market->tick_scale = tick_scale;
    if (!decimal_parse(market->lot_size, market->base->scale, "lot_size", &lot_minor, &ignored) ||
        lot_minor != market->lot_minor)
        return contradiction(market, "lot_minor is not lot_size in minor units of the base asset", e);

    /* tick × lot in quote minor units: tick_units × lot_minor × 10^(quote scale - tick scale - base scale) */
    __int128 unit = (__int128)market->tick_units * lot_minor;
    int shift = (int)market->quote->scale - (int)tick_scale - (int)market->base->scale;
    for (; shift > 0 && unit <= INT64_MAX; shift--)
        unit *= 10;
    for (; shift < 0 && unit % 10 == 0; shift++)
        unit /= 10;
    if (shift != 0 || unit != market->notional_unit_minor)
        return contradiction(
            market, "tick times lot is not notional_unit_minor, whole minor units of the quote asset", e);
    int64_t highest;
    if (__builtin_mul_overflow(market->max_price_ticks, market->tick_units, &highest) ||
        __builtin_mul_overflow(market->max_quantity_lots, market->lot_minor, &highest))
        return contradiction(market, "max_price_ticks or max_quantity_lots is larger than can be counted", e);
    return true;
}

static void copy_text(char *to, size_t size, const char *from)
{
    size_t len = strlen(from);
    assert(len < size);
    memcpy(to, from, len + 1);
}

static void asset_from_row(const struct pg_result *rows, size_t row, struct asset *ret)
{
    ret->id = (int32_t)pg_get_int64(rows, row, 0);
    copy_text(ret->code, sizeof ret->code, pg_get_text(rows, row, 1));
    ret->scale = (uint32_t)pg_get_int64(rows, row, 2);
    ret->class = (int32_t)pg_get_int64(rows, row, 3);
}

static bool market_from_row(
    const struct pg_result *rows, size_t row, const struct markets *set, struct market *ret, struct error *e)
{
    *ret = (struct market){
        .id = (int32_t)pg_get_int64(rows, row, 0),
        .base = asset_by_id(set, (int32_t)pg_get_int64(rows, row, 2)),
        .quote = asset_by_id(set, (int32_t)pg_get_int64(rows, row, 3)),
        .lot_minor = pg_get_int64(rows, row, 6),
        .notional_unit_minor = pg_get_int64(rows, row, 7),
        .min_quantity_lots = pg_get_int64(rows, row, 8),
        .max_quantity_lots = pg_get_int64(rows, row, 9),
        .max_price_ticks = pg_get_int64(rows, row, 10),
        .maker_fee_ppm = (int32_t)pg_get_int64(rows, row, 11),
        .taker_fee_ppm = (int32_t)pg_get_int64(rows, row, 12),
        .fee_ceiling_ppm = (int32_t)pg_get_int64(rows, row, 13),
        .market_band_ppm = (int32_t)pg_get_int64(rows, row, 14),
        .reference_price_ticks = pg_get_int64(rows, row, 15),
        .status = (enum market_status)pg_get_int64(rows, row, 16),
        .version = pg_get_int64(rows, row, 17),
        .published_version = pg_get_int64(rows, row, 18),
        .min_price_ticks = pg_get_int64(rows, row, 19),
        .price_step_ticks = pg_get_int64(rows, row, 20),
        .quantity_step_lots = pg_get_int64(rows, row, 21),
        .min_notional_minor = pg_get_int64(rows, row, 22),
        .max_notional_minor = pg_get_int64(rows, row, 23),
        .price_band_ppm = (int32_t)pg_get_int64(rows, row, 24),
    };
    assert(ret->base && ret->quote);
    copy_text(ret->symbol, sizeof ret->symbol, pg_get_text(rows, row, 1));
    const char *tick_size = pg_get_text(rows, row, 4), *lot_size = pg_get_text(rows, row, 5);
    if (strlen(tick_size) >= sizeof ret->tick_size || strlen(lot_size) >= sizeof ret->lot_size)
        return contradiction(ret, "tick_size or lot_size is too long", e);
    copy_text(ret->tick_size, sizeof ret->tick_size, tick_size);
    copy_text(ret->lot_size, sizeof ret->lot_size, lot_size);
    return market_units(ret, e);
}

static bool markets_load(struct pg *pg, struct markets **ret, struct error *e)
{
    CLEANUP(pg_result_free) struct pg_result *assets = NULL;
    CLEANUP(pg_result_free) struct pg_result *rows = NULL;
    CLEANUP(markets_free) struct markets *set = xcalloc(1, sizeof *set);
    /* Markets first: an asset that a later read misses cannot exist. */
    if (!pg_query(pg, &sql_markets_all, &rows, e) || !pg_query(pg, &sql_assets_all, &assets, e))
        return false;
    if (pg_rows(rows) > MARKETS_MAX || pg_rows(assets) > ASSETS_MAX)
        return error_field(e, ERROR_FATAL, "", "markets", "more markets or assets than this service can hold");
    set->assets = xcalloc(pg_rows(assets) + 1, sizeof *set->assets);
    set->markets = xcalloc(pg_rows(rows) + 1, sizeof *set->markets);
    set->references = 1;
    set->loaded_at_us = monotonic_us();
    for (size_t i = 0; i < pg_rows(assets); i++)
        asset_from_row(assets, i, &set->assets[set->asset_count++]);
    for (size_t i = 0; i < pg_rows(rows); i++) {
        if (!market_from_row(rows, i, set, &set->markets[set->market_count++], e))
            return false;
    }
    *ret = TAKE(set);
    return true;
}

bool markets_reload(struct markets_cache *cache, struct pg *pg, struct error *e)
{
    struct markets *set;
    if (!markets_load(pg, &set, e))
        return false;
    pthread_mutex_lock(&cache->mutex);
    struct markets *old = cache->current;
    cache->current = set;
    bool last = --old->references == 0;
    pthread_mutex_unlock(&cache->mutex);
    if (last)
        markets_free(old);
    return true;
}

static void publish_asset(struct outbox *outbox, const struct asset *asset)
{
    Penstock__Markets__V1__AssetDefined message = PENSTOCK__MARKETS__V1__ASSET_DEFINED__INIT;
    message.asset_id = (uint32_t)asset->id;
    message.code = (char *)asset->code;
    message.scale = asset->scale;
    message.class_ = (Penstock__Markets__V1__AssetClass)asset->class;
    outbox_add(outbox, "assets.v1", asset->code, &message.base, NULL);
}

static void publish_market(struct outbox *outbox, const struct market *market)
{
    Penstock__Markets__V1__MarketConfigured message = PENSTOCK__MARKETS__V1__MARKET_CONFIGURED__INIT;
    message.market_id = (uint32_t)market->id;
    message.symbol = (char *)market->symbol;
    message.base_asset_id = (uint32_t)market->base->id;
    message.quote_asset_id = (uint32_t)market->quote->id;
    message.base_asset = (char *)market->base->code;
    message.quote_asset = (char *)market->quote->code;
    message.tick_size = (char *)market->tick_size;
    message.lot_size = (char *)market->lot_size;
    message.lot_minor = market->lot_minor;
    message.notional_unit_minor = market->notional_unit_minor;
    message.min_quantity_lots = market->min_quantity_lots;
    message.max_quantity_lots = market->max_quantity_lots;
    message.max_price_ticks = market->max_price_ticks;
    message.maker_fee_ppm = (uint32_t)market->maker_fee_ppm;
    message.taker_fee_ppm = (uint32_t)market->taker_fee_ppm;
    message.market_band_ppm = (uint32_t)market->market_band_ppm;
    message.reference_price_ticks = market->reference_price_ticks;
    message.status = (Penstock__Markets__V1__MarketStatus)market->status;
    message.min_price_ticks = market->min_price_ticks;
    message.price_step_ticks = market->price_step_ticks;
    message.quantity_step_lots = market->quantity_step_lots;
    message.min_notional_minor = market->min_notional_minor;
    message.max_notional_minor = market->max_notional_minor;
    message.price_band_ppm = (uint32_t)market->price_band_ppm;
    outbox_add(outbox, "markets.v1", market->symbol, &message.base, NULL);
    outbox_add(outbox, "orders.accepted.v1", market->symbol, &message.base, NULL);
}

bool markets_publish(struct pg *pg, struct outbox *outbox, size_t *ret_count, struct error *e)
{
    /* The locks first: what is read after them is what gets marked. */
    CLEANUP(markets_free) struct markets *set = NULL;
    CLEANUP(pg_result_free) struct pg_result *assets = NULL;
    CLEANUP(pg_result_free) struct pg_result *markets = NULL;
    if (!pg_send(pg, &sql_assets_unpublished, &assets, e) || !pg_send(pg, &sql_markets_unpublished, &markets, e) ||
        !pg_wait(pg, e))
        return false;
    *ret_count = pg_rows(assets) + pg_rows(markets);
    if (*ret_count == 0)
        return true;
    if (!markets_load(pg, &set, e))
        return false;
    int64_t asset_ids[ASSETS_MAX], market_ids[MARKETS_MAX];
    for (size_t i = 0; i < pg_rows(assets); i++) {
        asset_ids[i] = pg_get_int64(assets, i, 0);
        publish_asset(outbox, asset_by_id(set, (int32_t)asset_ids[i]));
    }
    for (size_t i = 0; i < pg_rows(markets); i++) {
        market_ids[i] = pg_get_int64(markets, i, 0);
        publish_market(outbox, market_by_id(set, (int32_t)market_ids[i]));
    }
    pg_arg_int64s(pg, asset_ids, pg_rows(assets));
    if (!pg_send(pg, &sql_assets_published, NULL, e))
        return false;
    pg_arg_int64s(pg, market_ids, pg_rows(markets));
    return pg_send(pg, &sql_markets_published, NULL, e);
}
