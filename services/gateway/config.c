/* config.c -- the gateway's own settings; those every service has stand in chassis/service.h. */
#include "gateway.h"

const struct config_item settings_items[] = {
    { "IDENTITY_URL", CONFIG_STRING, offsetof(struct settings, identity_url), "http://127.0.0.1:8083",
        "where identity answers" },
    { "TRADE_LEDGER_URL", CONFIG_STRING, offsetof(struct settings, trade_ledger_url), "http://127.0.0.1:8082",
        "where trade-ledger answers" },
    { "MATCHING_ENGINE_URL", CONFIG_STRING, offsetof(struct settings, matching_engine_url), "http://127.0.0.1:8084",
        "where matching-engine answers; books are fetched there once, then followed on Kafka" },
    { "GATEWAY_UPSTREAM_TIMEOUT_MS", CONFIG_INT, offsetof(struct settings, upstream_timeout_ms), "15000",
        "longest exchange with a service", .min = 100, .max = 300000 },
    { "GATEWAY_RATE_PER_SECOND", CONFIG_INT, offsetof(struct settings, rate_per_second), "0",
        "requests a second for each user (or address, without a token); 0: no limit", .min = 0, .max = 1000000 },
    { "GATEWAY_RATE_BURST", CONFIG_INT, offsetof(struct settings, rate_burst), "200",
        "requests that may come at once before the rate counts", .min = 1, .max = 1000000 },
    { 0 },
};
