/* config.h -- this service's own settings; those that every service has are in chassis/service.h. */
#pragma once

#include "../chassis/config.h"

enum funding_mode { FUNDING_OFF, FUNDING_SANDBOX };
enum manual_journals { MANUAL_JOURNALS_DIRECT, MANUAL_JOURNALS_CHECKED };

struct settings {
    int64_t funding_mode;                                                  /* enum funding_mode */
    int64_t manual_journals;                                               /* enum manual_journals */
    int64_t open_orders_max, orders_per_second_max;                        /* of each user; 0: any number */
    int64_t self_check_accounts_per_second, self_check_entries_per_second; /* 0: not checked */
    char *statement_font;                                                  /* of a PDF; "": none */
};

extern const struct config_item settings_items[];
