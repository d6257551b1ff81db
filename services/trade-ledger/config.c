#include "config.h"

#include <stddef.h>

const struct config_item settings_items[] = {
    { .name = "FUNDING_MODE",
        .type = CONFIG_CHOICE,
        .offset = offsetof(struct settings, funding_mode),
        .fallback = "sandbox",
        .meaning = "sandbox: a top-up is booked against the funding account; off: it is refused",
        .choices = "sandbox|off" },
    { 0 },
};
