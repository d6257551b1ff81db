/* position.h -- how far a source has been published, and the snapshots it is made of. Pure: no I/O. One thread at a
 * time.
 *
 * Published are: all rows visible in `before`, and the rows visible in `now` with an id up to last_id. A round
 * publishes what `now` sees and `before` does not, by id; position_finish_round() then makes `now` the next `before`.
 *
 * A source whose log is read (wal mode) leaves the snapshots empty. Published are: all transactions whose commit record
 * begins before commit_lsn, and the first commit_index rows of the one that begins there. */
#pragma once

#include <event_bus/error.h>

enum {
    SNAPSHOT_XIP_MAX = 100000, /* transactions in progress; Postgres' own limit is max_connections + prepared ones */
    SNAPSHOT_TEXT_MAX = 2 * 1024 * 1024, /* bytes */
};

/* pg_snapshot: transactions below xmin are finished, those from xmax on are not begun, `xip` of those between are
 * running. */
struct snapshot {
    char *text; /* "xmin:xmax:xip,xip", as Postgres writes it */
    uint64_t xmin, xmax;
    uint64_t *xip; /* ascending */
    size_t xip_count;
};

/* Leaves *ret_snapshot alone on error (INVALID: not the text of a pg_snapshot). */
MUST_CHECK bool snapshot_parse(const char *text, struct snapshot *ret_snapshot, struct error *e);
void snapshot_empty(struct snapshot *ret_snapshot); /* sees nothing: where a new source starts */
void snapshot_copy(const struct snapshot *from, struct snapshot *ret_snapshot);
void snapshot_release(struct snapshot *snapshot); /* zeroed is fine */
bool snapshot_equal(const struct snapshot *a, const struct snapshot *b);
bool snapshot_sees(const struct snapshot *snapshot, uint64_t xid); /* as pg_visible_in_snapshot() */

struct position {
    struct snapshot before, now;
    uint64_t last_id; /* 0: nothing of this round yet */
    uint64_t published_rows;
    uint64_t system_identifier; /* 0: not known yet */
    uint32_t timeline;          /* 0: not known yet */
    uint64_t commit_lsn;        /* wal mode; 0: nothing read yet */
    uint64_t commit_index;
    uint64_t log_lsn; /* poll mode: all that `now` sees is in the log before this; 0: not known */
    /* The last request for parked rows to be published, and for published ones to be repeated, and how far it has come:
     * up to which place in outbox_parked, up to which outbox id (UINT64_MAX: done). */
    uint64_t redrive, redrive_place;
    uint64_t replay, replay_id;
};

void position_init(struct position *ret_position); /* nothing published */
void position_release(struct position *position);
void position_copy(const struct position *from, struct position *to);       /* `to` must be initialised */
void position_begin_round(struct position *position, struct snapshot *now); /* takes `now`; last_id becomes 0 */
void position_finish_round(struct position *position);
bool position_in_round(const struct position *position); /* rows of `now` may be missing */

/* penstock.bus.v1.OutboxPosition. The buffer is the caller's (xfree). */
void position_encode(
    const struct position *position, const char *source, int64_t at_us, void **ret_data, size_t *ret_len);
/* Errors: INVALID: not an OutboxPosition, or of another source. */
MUST_CHECK bool position_decode(struct bytes data, const char *source, struct position *ret_position, struct error *e);

/* Whether a database (identified by the other three) is the one this position was made on, and has not lost
 * transactions since. ERROR_FATAL explains what is wrong. */
MUST_CHECK bool position_check_database(const struct position *position, uint64_t system_identifier, uint32_t timeline,
    const struct snapshot *present, struct error *e);
