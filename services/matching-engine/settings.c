#include "settings.h"

#include "engine_core.h"

const struct config_item settings_items[] = {
    { "MATCHING_ENGINE_DATA_DIR", CONFIG_STRING, offsetof(struct settings, data_directory), "var/matching-engine",
        "where snapshots are kept; made if missing" },
    { "MATCHING_ENGINE_SNAPSHOT_EVERY", CONFIG_INT, offsetof(struct settings, snapshot_every), "100000",
        "commands between two snapshots of a partition; one is also taken when a partition is given up", 1, INT64_MAX },
    { "MATCHING_ENGINE_ORDERS_MAX", CONFIG_INT, offsetof(struct settings, orders_max), "1000000",
        "resting orders of a partition; more are rejected with BOOK_FULL", 1, 1 << 30 },
    { "MATCHING_ENGINE_PAGES_MAX", CONFIG_INT, offsetof(struct settings, pages_max), "131072",
        "pages of 64 neighbouring prices with resting orders, of a partition; more are rejected with BOOK_FULL", 1,
        1 << 25 },
    { "MATCHING_ENGINE_MARKETS_MAX", CONFIG_INT, offsetof(struct settings, markets_max), "1024",
        "markets of a partition", 1, ENGINE_MARKETS_MAX },
    { "MATCHING_ENGINE_STANDBY", CONFIG_BOOL, offsetof(struct settings, standby), "true",
        "follow the partitions that other engines own, to take over at once" },
    { "MATCHING_ENGINE_SESSION_TIMEOUT_MS", CONFIG_INT, offsetof(struct settings, session_timeout_ms), "6000",
        "a member that is silent for so long loses its partitions; the broker's group.min.session.timeout.ms is the "
        "least",
        500, 300000 },
    { "MATCHING_ENGINE_STUCK_AFTER_MS", CONFIG_INT, offsetof(struct settings, stuck_after_ms), "30000",
        "a partition without progress for so long makes /health fail", 1000, 3600000 },
    { 0 },
};
