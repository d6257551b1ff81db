/* source_wal_spill.h -- the changes of one large transaction that Postgres sends before it is committed ("streamed"),
 * kept in an unlinked file until its outcome is known. Memory is bounded by a buffer; a crash leaves nothing behind.
 * One thread. Life: open; add …, abort …; rewind; next … until there is none. */
#pragma once

#include <event_bus/error.h>

enum {
    WAL_SPILL_BUFFER_BYTES = 65536,
    WAL_SPILL_ABORTS_MAX = 1000000, /* subtransactions rolled back within one transaction */
};

struct wal_spill;

/* folder: where the file is. Errors: TRANSIENT. */
MUST_CHECK bool wal_spill_open(const char *folder, uint32_t xid, struct wal_spill **ret_spill, struct error *e);
void wal_spill_free(struct wal_spill *spill); /* NULL is fine */
DEFINE_CLEANUP(struct wal_spill *, wal_spill_free)

uint32_t wal_spill_xid(const struct wal_spill *spill);

/* Errors: TRANSIENT: no space left, too many. */
MUST_CHECK bool wal_spill_add(struct wal_spill *spill, struct bytes message, struct error *e);
MUST_CHECK bool wal_spill_abort(struct wal_spill *spill, uint32_t subxid, struct error *e);

MUST_CHECK bool wal_spill_rewind(struct wal_spill *spill, struct error *e); /* nothing is added from here on */
/* The next message, borrowed until the next call; data NULL after the last. */
MUST_CHECK bool wal_spill_next(struct wal_spill *spill, struct bytes *ret_message, struct error *e);
bool wal_spill_aborted(const struct wal_spill *spill, uint32_t subxid); /* after wal_spill_rewind() */
