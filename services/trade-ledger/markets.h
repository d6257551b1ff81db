/* markets.h -- assets and markets in memory, as one immutable set that is replaced when the tables change.
 *
 * The cache hands out references to the current set: any thread, short lock. A batch keeps one set from beginning to
 * end, unless it finds that a version has moved on. Units of a market never change, so that an old set is at worst
 * strict, never wrong. */
#pragma once

#include "types.h"

#include <event_bus/error.h>
#include <event_bus/outbox.h>
#include <event_bus/pg.h>

enum { MARKETS_MAX = 4096, ASSETS_MAX = 4096 };

struct markets {
    struct asset *assets;
    struct market *markets;
    size_t asset_count, market_count;
    uint32_t references;
    int64_t loaded_at_us; /* monotonic */
};

const struct asset *asset_by_code(const struct markets *markets, const char *code); /* NULL: none */
const struct asset *asset_by_id(const struct markets *markets, int32_t id);
const struct market *market_by_symbol(const struct markets *markets, const char *symbol);
const struct market *market_by_id(const struct markets *markets, int32_t id);

struct markets_cache;
struct markets_cache *markets_cache_new(void); /* empty until markets_reload() */
void markets_cache_free(struct markets_cache *cache);
DEFINE_CLEANUP(struct markets_cache *, markets_cache_free)

/* The current set: give it back with markets_put(). */
const struct markets *markets_get(struct markets_cache *cache);
void markets_put(struct markets_cache *cache, const struct markets *markets);

/* Reads both tables, inside the caller's transaction or outside. Errors: FATAL for rows that contradict themselves; as
 * pg_query(). */
MUST_CHECK bool markets_reload(struct markets_cache *cache, struct pg *pg, struct error *e);

/* Fills *market (symbol, sizes, scales, lot_minor, notional_unit_minor given) with tick_scale and tick_units, and
 * checks that tick, lot and notional unit agree. Errors: FATAL. */
MUST_CHECK bool market_units(struct market *market, struct error *e);

/* Adds what has changed since it was last published to the outbox, and marks it as published; in the caller's
 * transaction. *ret_count: rows added. */
MUST_CHECK bool markets_publish(struct pg *pg, struct outbox *outbox, size_t *ret_count, struct error *e);
