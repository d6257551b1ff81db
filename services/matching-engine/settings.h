/* settings.h -- the engine's own settings, from the environment. */
#pragma once

#include "config.h"

struct settings {
    char *data_directory;
    bool standby;
    int64_t snapshot_every, orders_max, pages_max, markets_max, session_timeout_ms, stuck_after_ms;
};

extern const struct config_item settings_items[];
