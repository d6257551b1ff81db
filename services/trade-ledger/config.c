#include "config.h"

#include <stddef.h>

const struct config_item settings_items[] = {
    { .name = "FUNDING_MODE",
        .type = CONFIG_CHOICE,
        .offset = offsetof(struct settings, funding_mode),
        .fallback = "off",
        .meaning = "off: a top-up is refused; sandbox: it is booked against the funding account",
        .choices = "off|sandbox" },
    { .name = "MANUAL_JOURNALS",
        .type = CONFIG_CHOICE,
        .offset = offsetof(struct settings, manual_journals),
        .fallback = "direct",
        .meaning = "direct: an operator books journals and reversals by himself; checked: only by adjustments that "
                   "another approves",
        .choices = "direct|checked" },
    { .name = "OPEN_ORDERS_MAX",
        .type = CONFIG_INT,
        .offset = offsetof(struct settings, open_orders_max),
        .fallback = "0",
        .meaning = "open orders of one user, unless his row in traders says otherwise; 0: any number",
        .max = 1000000 },
    { .name = "ORDERS_PER_SECOND_MAX",
        .type = CONFIG_INT,
        .offset = offsetof(struct settings, orders_per_second_max),
        .fallback = "0",
        .meaning =
            "orders that one user may place within a second, unless his row in traders says otherwise; 0: any number",
        .max = 1000000 },
    { .name = "SELF_CHECK_ACCOUNTS_PER_SECOND",
        .type = CONFIG_INT,
        .offset = offsetof(struct settings, self_check_accounts_per_second),
        .fallback = "1000",
        .meaning = "accounts whose balance is compared with their last entry each second; 0: none",
        .max = 100000 },
    { .name = "SELF_CHECK_ENTRIES_PER_SECOND",
        .type = CONFIG_INT,
        .offset = offsetof(struct settings, self_check_entries_per_second),
        .fallback = "5000",
        .meaning =
            "entries that are followed from the one before them, and whose journals are summed, each second; 0: none",
        .max = 1000000 },
    { 0 },
};
