/* config.h -- this service's own settings; those that every service has are in chassis/service.h. */
#pragma once

#include "../chassis/config.h"

struct settings {
    char *signing_key_path;
    int64_t signing_key_days, signing_key_publish_s;
    int64_t access_token_lifetime_s;
    int64_t refresh_token_lifetime_s;
    int64_t login_attempts_max;         /* in a window, for one e-mail address and peer */
    int64_t login_address_attempts_max; /* for one e-mail address, whoever the peers */
    int64_t login_window_s;
};

extern const struct config_item settings_items[];
