/* settings.h -- the relay's settings: one table for the process, one DSN for each source. Read once at start, then
 * constant. */
#pragma once

#include "config.h" /* of the chassis */
#include "mapping.h"

enum { RELAY_SOURCES_MAX = 64, RELAY_SOURCE_NAME_MAX = 64, RELAY_SETTING_MAX = 80 };

struct relay_settings {
    char *sources;
    char *reset;
    int64_t max_lag_s;
    int64_t transaction_ms, pause_us, transaction_timeout_ms;
    int64_t page_rows, page_bytes, poll_max_ms, queue_kbytes_max;
    int64_t compression, on_refusal;
    int64_t lease_ms;
    bool cleanup;
    int64_t cleanup_delay_s;
    int64_t wal_catch_up_bytes, wal_peek_changes, wal_max_retained_bytes;
    char *wal_spill_folder;
};

extern const struct config_item relay_settings_items[];

/* The choice of OUTBOX_RELAY_COMPRESSION as librdkafka calls it. */
const char *relay_compression(const struct relay_settings *settings);

struct relay_source_setting {
    char name[RELAY_SOURCE_NAME_MAX];
    char setting[RELAY_SETTING_MAX]; /* how its settings begin: "RELAY_TRADE_LEDGER" */
    char *dsn;                       /* the table's */
    struct mapping mapping;
    int64_t guarantee;        /* 0: exactly once; 1: idempotent */
    int64_t mode;             /* enum source_mode */
    char *slot, *publication; /* wal mode */
    bool reset;               /* named in OUTBOX_RELAY_RESET */
};

struct relay_sources {
    struct relay_source_setting items[RELAY_SOURCES_MAX];
    size_t count;
};

/* What each source has: RELAY_<NAME>_POSTGRES_URL, …; the names here are what comes after RELAY_<NAME>_. */
extern const struct config_item relay_source_items[];

/* Reads OUTBOX_RELAY_SOURCES ("identity,trade-ledger") and for each RELAY_<NAME>_POSTGRES_URL, …. Errors: INVALID, with
 * the setting's name in `field`. relay_sources_release() is fine after an error too. */
MUST_CHECK bool relay_sources_load(
    const struct relay_settings *settings, struct relay_sources *ret_sources, struct error *e);
void relay_sources_release(struct relay_sources *sources);
