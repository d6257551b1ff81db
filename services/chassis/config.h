/* config.h -- settings from the environment, declared in one table a service. Read once at start, then constant; any
 * thread.
 *
 *     struct settings { int port; char *url; };
 *     static const struct config_item items[] = {
 *         { "TRADE_LEDGER_PORT", CONFIG_PORT, offsetof(struct settings, port), "8082", "HTTP port" },
 *         { "TRADE_LEDGER_POSTGRES_URL", CONFIG_SECRET, offsetof(struct settings, url), NULL, "database of this
 * service" }, { 0 } };
 *
 * A value that does not parse, or a missing one without a default, is ERROR_INVALID with field = the setting's name.
 * For each setting X the variable X_FILE may name a file that holds the value (secrets). `--help` of each service
 * prints its table. */
#pragma once

#include <event_bus/error.h>

#include <stdio.h>

enum config_type {
    CONFIG_STRING, /* char *, never NULL ("" if the default is "") */
    CONFIG_SECRET, /* char *, never printed */
    CONFIG_INT,    /* int64_t within min..max */
    CONFIG_PORT,   /* int64_t, 1..65535 */
    CONFIG_BOOL,   /* bool: true/false/1/0 */
    CONFIG_CHOICE, /* int64_t: index in `choices`, "a|b|c" */
};

struct config_item {
    const char *name; /* NULL ends the table */
    enum config_type type;
    size_t offset;        /* in the settings struct */
    const char *fallback; /* default as text; NULL: must be set */
    const char *meaning;
    int64_t min, max;    /* CONFIG_INT; both 0: any */
    const char *choices; /* CONFIG_CHOICE */
};

MUST_CHECK bool config_load(const struct config_item *items, void *settings, struct error *e);
void config_release(const struct config_item *items, void *settings); /* frees the strings */
void config_print(const struct config_item *items, FILE *out);        /* name, type, default, meaning */
