#include "core.h"

#include <string.h>

static uint32_t symbol_place(const char *symbol)
{
    uint32_t hash = 2166136261u;
    for (const char *c = symbol; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    return hash & (SYMBOL_TABLE_SIZE - 1);
}

uint16_t engine_market_find(const struct engine *engine, const char *symbol)
{
    for (uint32_t at = symbol_place(symbol); engine->symbols[at] != 0; at = (at + 1) & (SYMBOL_TABLE_SIZE - 1)) {
        uint16_t number = (uint16_t)(engine->symbols[at] - 1);
        if (strcmp(engine->markets[number].state.config.symbol, symbol) == 0)
            return number;
    }
    return ENGINE_NO_MARKET;
}

static bool limits_are_valid(const struct engine_market_config *config)
{
    return config->min_price_ticks >= 0 && config->max_price_ticks >= 0 && config->price_step_ticks >= 0 &&
           config->min_quantity_lots >= 0 && config->max_quantity_lots >= 0 && config->quantity_step_lots >= 0 &&
           config->min_notional_minor >= 0 && config->max_notional_minor >= 0;
}

static bool config_is_valid(const struct engine_market_config *config)
{
    return config->symbol[0] != '\0' && memchr(config->symbol, '\0', ENGINE_SYMBOL_MAX) && config->base_asset_id > 0 &&
           config->quote_asset_id > 0 && config->base_asset_id != config->quote_asset_id && config->lot_minor > 0 &&
           config->notional_unit_minor > 0 && config->maker_fee_ppm <= PPM && config->taker_fee_ppm <= PPM &&
           config->status >= ENGINE_OPEN && config->status <= ENGINE_AUCTION && limits_are_valid(config);
}

static bool fixed_parts_agree(const struct engine_market_config *a, const struct engine_market_config *b)
{
    return a->market_id == b->market_id && a->base_asset_id == b->base_asset_id &&
           a->quote_asset_id == b->quote_asset_id && a->lot_minor == b->lot_minor &&
           a->notional_unit_minor == b->notional_unit_minor;
}

static struct market *market_add(struct engine *engine, const char *symbol)
{
    if (engine->markets_count == engine->markets_max)
        return NULL;
    uint32_t at = symbol_place(symbol);
    while (engine->symbols[at] != 0)
        at = (at + 1) & (SYMBOL_TABLE_SIZE - 1);
    struct market *market = &engine->markets[engine->markets_count];
    market->number = engine->markets_count++;
    engine->symbols[at] = engine->markets_count;
    return market;
}

static bool has_limits(const struct engine_market_config *config)
{
    return config->min_price_ticks > 1 || config->max_price_ticks != 0 || config->price_step_ticks > 1 ||
           config->min_quantity_lots > 1 || config->max_quantity_lots != 0 || config->quantity_step_lots > 1 ||
           config->min_notional_minor > 0 || config->max_notional_minor != 0 || config->price_band_ppm != 0;
}

void market_look(struct market *market)
{
    market->is_plain =
        market->state.config.status == ENGINE_OPEN && market->killed == 0 && !has_limits(&market->state.config);
}

enum engine_verdict engine_configure(
    struct engine *engine, const struct engine_market_config *config, uint16_t *ret_market)
{
    if (!config_is_valid(config))
        return ENGINE_BAD_CONFIG;
    uint16_t number = engine_market_find(engine, config->symbol);
    struct market *market = number == ENGINE_NO_MARKET ? NULL : &engine->markets[number];
    if (market && !fixed_parts_agree(&market->state.config, config))
        return ENGINE_BAD_CONFIG;
    if (!market)
        market = market_add(engine, config->symbol);
    if (!market)
        return ENGINE_TOO_MANY_MARKETS;
    engine_flush(engine);
    market->state.config = *config;
    market_look(market);
    if (config->status == ENGINE_OPEN && is_crossed(market)) {
        uncross(engine, market);
        command_end(engine, market);
        engine_flush(engine);
    }
    *ret_market = market->number;
    return ENGINE_OK;
}
