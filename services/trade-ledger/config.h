/* config.h -- this service's own settings; those that every service has are in chassis/service.h. */
#pragma once

#include "../chassis/config.h"

enum funding_mode { FUNDING_OFF, FUNDING_SANDBOX };

struct settings {
    int64_t funding_mode; /* enum funding_mode */
};

extern const struct config_item settings_items[];
