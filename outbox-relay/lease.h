/* lease.h -- one relay works on a source at a time, the others wait. The lease is a session lock on the source's
 * database; a thread keeps the session visibly alive and, on the same connection, cleans up published rows.
 *
 * The lease decides who works, not what is safe: a relay that still believes in a lost lease is fenced by Kafka
 * (publisher_open()). A holder whose client is not heard of for stale_us (dead host, stopped process) is taken over:
 * its session is terminated, its lock falls free. */
#pragma once

#include "control.h"
#include "position.h"

#include <event_bus/pg.h>

enum { LEASE_PARKED_MAX = 1000000 };

struct lease;

struct lease_options {
    const char *dsn;     /* never logged */
    const char *name;    /* the same for all relays of this source */
    const char *setting; /* "RELAY_TRADE_LEDGER": errors name the setting */
    const char *slot;    /* NULL; or a replication slot, to be watched */
    const struct mapping *mapping;
    int64_t stale_us;
    bool cleanup;
    int64_t cleanup_delay_us;
};

/* Connects. Errors: as pg_open(). */
MUST_CHECK bool lease_open(const struct lease_options *options, struct lease **ret_lease, struct error *e);
void lease_free(struct lease *lease); /* gives the lock back; NULL is fine */
DEFINE_CLEANUP(struct lease *, lease_free)

/* Tries once, taking over from a stale holder; *ret_held tells. Not heard of for a while is not an error: call again.
 */
MUST_CHECK bool lease_try(struct lease *lease, bool *ret_held, bool *ret_taken_over, struct error *e);

/* The lock is held: from now on no older relay can store a position in the database. *ret_stored is the position that
 * is stored there, if one is. */
MUST_CHECK bool lease_claim(
    struct lease *lease, const char *source, bool *ret_found, struct position *ret_stored, struct error *e);
int64_t lease_epoch(const struct lease *lease);
MUST_CHECK bool lease_keep(struct lease *lease, struct error *e); /* starts the thread; the lock is held */

/* Any thread, after lease_keep(). */
bool lease_lost(struct lease *lease, struct error *e);                    /* true: and why */
void lease_published(struct lease *lease, const struct snapshot *before); /* of a committed position */
void lease_control(struct lease *lease, struct control *ret_control);     /* what was last asked of the relay */
uint64_t lease_parked_rows(struct lease *lease); /* as counted lately, at most LEASE_PARKED_MAX */
uint64_t lease_deleted_rows(struct lease *lease);
uint64_t lease_retained_bytes(struct lease *lease); /* of log that the slot keeps, lately */
