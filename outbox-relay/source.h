/* source.h -- where rows come from: one outbox table, read in the order of decision "outbox order" (docs/decisions/).
 * One connection, one thread, nothing blocks longer than asked. The reader is ahead of what it has handed out by at
 * most a page.
 *
 * Life: source_open; source_identify; source_resume(position); then source_next() …, and source_committed() after each
 * commit. After a lost Kafka transaction source_resume() again. Any error: source_free() and start over.
 *
 * Two modes: SOURCE_POLL (source_poll.c) reads the table by SQL; SOURCE_WAL (source_wal.c) decodes the log through a
 * replication slot. A mode is a struct that begins with `struct source`, and a table of source_ops. */
#pragma once

#include "mapping.h"
#include "position.h"

enum {
    SOURCE_PAGE_ROWS_MAX = 100000,
    SOURCE_HEADERS_MAX = 64, /* extra headers of a row */
};

enum source_mode { SOURCE_POLL, SOURCE_WAL };

struct source_options {
    enum source_mode mode;
    const char *name;    /* of the source, "trade-ledger" */
    const char *setting; /* its settings' common beginning, "RELAY_TRADE_LEDGER": errors name the setting */
    const char *dsn;     /* never logged */
    const char *application_name;
    const struct mapping *mapping;
    const char *slot, *publication; /* wal mode, as the rest that begins with wal_ */
    int64_t wal_catch_up_bytes;     /* of log behind: more is peeked, less streamed */
    int64_t wal_peek_changes;       /* in one peek */
    const char *wal_spill_folder;   /* for large transactions that are not committed yet */
    int64_t page_rows;              /* at most SOURCE_PAGE_ROWS_MAX */
    int64_t page_bytes;             /* of payload; a page has at least one row */
    int64_t poll_max_us;            /* longest sleep between two looks at a quiet table */
    bool stored_ahead; /* poll mode: before a row is used the caller commits its page's position in the same database,
                          which brings to disk what the position's snapshots see; so it need not be on disk before */
};

/* Borrowed from the page. Strings are NUL-terminated. */
struct source_row {
    uint64_t id;          /* unique in the source, not 0, and the same whenever this row is read */
    uint64_t seq;         /* 1, 2, … from the source's first row on, without a gap */
    const char *event_id; /* what goes into the mapping's id_format; NULL: the id */
    const char *topic, *type;
    const char *traceparent; /* "" if none */
    struct bytes key;        /* data NULL if none */
    struct bytes payload;
    int64_t created_at_us;       /* 0: not known */
    const struct bytes *headers; /* name, value, name, value, … */
    size_t header_count;         /* of those: even */
    uint64_t replay;             /* not 0: it was published before; the number of the request to repeat it */
    const char *flaw;            /* NULL; else why this row cannot be an event */
};

struct source_page {
    const struct source_row *rows;
    size_t count;
    bool round_done; /* nothing more of this round: commit now, later rows belong to the next */
    bool store;      /* commit the position now, even without rows: the source waits for it */
};

struct source_waiting {
    uint64_t rows, bytes; /* known to be committed and not handed out yet; bytes as stored, an estimate */
    int64_t caught_up_us; /* now_us(): everything committed before this has been handed out */
};

struct source;

struct source_ops {
    void (*free)(struct source *source);
    bool (*identify)(struct source *source, struct position *position, struct error *e);
    bool (*resume)(struct source *source, const struct position *position, struct error *e);
    bool (*next)(struct source *source, int64_t wait_us, struct source_page *ret_page, struct error *e);
    void (*limit)(struct source *source, int64_t rows);
    void (*pump)(struct source *source);
    bool (*committed)(struct source *source, const struct position *position, struct error *e);
    const struct position *(*position)(const struct source *source);
    const struct position *(*page_position)(const struct source *source);
    void (*waiting)(const struct source *source, struct source_waiting *ret_waiting);
    const char *(*content_type)(const struct source *source);
};

struct source {
    const struct source_ops *ops;
};

/* Connects, and holds the mapping against the table. Errors: TRANSIENT; FATAL with the setting's name when a table or
 * column is missing or of a type that cannot be published. */
MUST_CHECK bool source_open(const struct source_options *options, struct source **ret_source, struct error *e);
MUST_CHECK bool source_poll_open(const struct source_options *options, struct source **ret_source, struct error *e);
void source_free(struct source *source); /* NULL is fine */
DEFINE_CLEANUP(struct source *, source_free)

/* ERROR_FATAL if this is not the database that `position` was made on, or the position is of the other mode; else
 * completes what position does not know yet. */
MUST_CHECK bool source_identify(struct source *source, struct position *position, struct error *e);

/* Goes on after `position`. */
MUST_CHECK bool source_resume(struct source *source, const struct position *position, struct error *e);

/* The next rows, waiting for some at most wait_us; count 0 if there are none. The page lasts until the next call. */
MUST_CHECK bool source_next(struct source *source, int64_t wait_us, struct source_page *ret_page, struct error *e);

/* From the next source_resume() on, pages of at most so many rows; 0: as the options say. */
void source_limit(struct source *source, int64_t rows);

/* Takes in what the server has sent of the page after this one; now and then while a long page is worked on. */
void source_pump(struct source *source);

/* Everything up to `position` is published and the position stored: what it covers may go (the slot may move). */
MUST_CHECK bool source_committed(struct source *source, const struct position *position, struct error *e);

/* Where the source stands when all that was handed out is published. Borrowed. */
const struct position *source_position(const struct source *source);

/* Where the page that was handed out last begins: from here the same rows come again in the same order, with the same
 * seq. Borrowed. */
const struct position *source_page_position(const struct source *source);

void source_get_waiting(const struct source *source, struct source_waiting *ret_waiting);

/* Of the events: as the mapping says, or by the type of the payload column. */
const char *source_content_type(const struct source *source);
