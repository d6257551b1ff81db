#include "config.h"

#include <stddef.h>

const struct config_item settings_items[] = {
    { .name = "FUNDING_MODE",
        .type = CONFIG_CHOICE,
        .offset = offsetof(struct settings, funding_mode),
        .fallback = "off",
        .meaning = "off: a top-up is refused; sandbox: it is booked against the funding account",
        .choices = "off|sandbox" },
    { 0 },
};
