/* source_wal_feed.h -- the messages of pgoutput from a slot, by one of two ways: streamed by a walsender as they are
 * decoded (low latency, one network message each), or peeked by SQL (several times the speed, but decoded as a whole
 * before the first arrives). Neither moves the slot. One thread; at most one way at a time. */
#pragma once

#include "source_wal_slot.h"

struct wal_feed;

struct wal_feed_options {
    const char *dsn, *application_name, *slot, *publication;
    int64_t peek_changes; /* a peek ends with the transaction that makes them so many */
};

enum wal_item_kind {
    WAL_ITEM_NONE,      /* nothing until the deadline */
    WAL_ITEM_MESSAGE,   /* for pgoutput_parse() */
    WAL_ITEM_KEEPALIVE, /* all that was committed before `lsn` has been handed out */
    WAL_ITEM_END,       /* of a peek */
};

struct wal_item {
    enum wal_item_kind kind;
    uint64_t lsn;      /* streamed message: where it is in the log; keepalive */
    bool reply_wanted; /* keepalive: call wal_feed_confirm() now */
    struct bytes data; /* borrowed until the next call */
};

/* Connects. Errors: TRANSIENT. */
MUST_CHECK bool wal_feed_open(const struct wal_feed_options *options, struct wal_feed **ret_feed, struct error *e);
void wal_feed_free(struct wal_feed *feed); /* NULL is fine */
DEFINE_CLEANUP(struct wal_feed *, wal_feed_free)

PGconn *wal_feed_sql(struct wal_feed *feed); /* for statements; only while nothing is peeked */

/* From transactions on that commit at `lsn` or later, at least. large: such as are not committed yet too, if large. */
MUST_CHECK bool wal_feed_stream(struct wal_feed *feed, uint64_t lsn, bool large, struct error *e);
MUST_CHECK bool wal_feed_peek(struct wal_feed *feed, struct error *e); /* from the slot's position on */
MUST_CHECK bool wal_feed_stop(struct wal_feed *feed, struct error *e); /* afterwards nobody reads the slot */
bool wal_feed_streaming(const struct wal_feed *feed);
bool wal_feed_idle(const struct wal_feed *feed); /* neither */

MUST_CHECK bool wal_feed_next(struct wal_feed *feed, int64_t deadline_us, struct wal_item *ret_item, struct error *e);

/* Streaming: tells the server what has been dealt with: the slot moves there, and the session is known to live. */
MUST_CHECK bool wal_feed_confirm(struct wal_feed *feed, uint64_t lsn, struct error *e);

/* Peeking: messages so far, of this peek. */
int64_t wal_feed_peeked(const struct wal_feed *feed);
