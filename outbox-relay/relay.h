/* relay.h -- one source: its lease, its publisher, its reader, and the loop that joins them. Each source has a thread,
 * and what fails in one leaves the others alone: relay_run() starts over with back-off, from the position stored in
 * Kafka.
 *
 *     standby ─lease─→ starting ─position read─→ active ─any doubt─→ backing off ─→ standby …
 *                                                  ⇅ paused */
#pragma once

#include "publisher.h"
#include "source.h"

struct relay;

struct relay_options {
    const char *source;  /* "trade-ledger" */
    const char *setting; /* how its settings begin: "RELAY_TRADE_LEDGER" */
    const char *dsn;     /* never logged */
    const struct mapping *mapping;
    const struct kafka_options *kafka;
    const char *compression;
    int64_t page_rows, page_bytes, poll_max_us;
    int64_t transaction_us; /* a longer Kafka transaction is committed at the next page */
    int64_t pause_us;
    int64_t transaction_timeout_ms;
    int64_t queue_kbytes_max;
    int64_t lease_stale_us;
    bool cleanup;
    int64_t cleanup_delay_us;
    enum source_mode mode;
    const char *slot, *publication; /* wal mode, as the rest that begins with wal_ */
    int64_t wal_catch_up_bytes, wal_peek_changes;
    const char *wal_spill_folder;
    bool idempotent; /* without Kafka transactions: readers drop by ce_sequence what they have seen */
    bool park;       /* set rows that Kafka refuses aside; else the source stops at them */
    bool reset;      /* on a database that the position does not belong to: begin anew instead of refusing */
    bool (*stopping)(void *context); /* any thread */
    void *context;
};

enum relay_state { RELAY_STANDBY, RELAY_STARTING, RELAY_ACTIVE, RELAY_PAUSED, RELAY_BACKING_OFF };
const char *relay_state_name(enum relay_state state);

struct relay_status {
    enum relay_state state;
    uint64_t published_rows; /* by this process */
    uint64_t waiting_rows;   /* known to be committed and not yet published */
    uint64_t waiting_bytes;  /* of those: as stored, an estimate */
    uint64_t in_flight_rows; /* handed to Kafka, not committed */
    uint64_t parked_rows;    /* in the table */
    double rows_per_second;  /* lately */
    double lag_s;            /* everything committed longer ago than this is published; 0 in standby */
    uint64_t deleted_rows;
    uint64_t retained_bytes; /* wal mode: of log that the slot keeps on the server */
    char trouble[192];       /* why it is backing off, "" if it is not */
};

/* Options, and what they point to, must outlive the relay. Makes the source's metrics. */
struct relay *relay_new(const struct relay_options *options);
void relay_free(struct relay *relay);
DEFINE_CLEANUP(struct relay *, relay_free)

void relay_run(struct relay *relay);                                         /* until stopping() */
void relay_get_status(struct relay *relay, struct relay_status *ret_status); /* any thread */
