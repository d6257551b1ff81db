/* source.h -- where rows come from: one outbox table, read in the order of decision "outbox order" (docs/decisions/).
 * One connection, one thread, nothing blocks longer than asked. The reader is ahead of what it has handed out by at
 * most a page.
 *
 * Life: source_open; source_identify; source_resume(position); then source_next() … . After a lost Kafka transaction
 * source_resume() again. Any error: source_free() and start over. */
#pragma once

#include "position.h"

enum {
    SOURCE_PAGE_ROWS_MAX = 100000,
    SOURCE_HEADERS_MAX = 64, /* extra headers of a row */
};

struct source;

struct source_options {
    const char *dsn; /* never logged */
    const char *application_name;
    int64_t page_rows;   /* at most SOURCE_PAGE_ROWS_MAX */
    int64_t page_bytes;  /* of payload; a page has at least one row */
    int64_t poll_max_us; /* longest sleep between two looks at a quiet table */
};

/* Borrowed from the page. Strings are NUL-terminated. */
struct source_row {
    uint64_t id;
    const char *topic, *type;
    const char *traceparent; /* "" if none */
    struct bytes key;        /* data NULL if none */
    struct bytes payload;
    int64_t created_at_us;
    const struct bytes *headers; /* name, value, name, value, … */
    size_t header_count;         /* of those: even */
    const char *flaw;            /* NULL; else why this row cannot be an event */
};

struct source_page {
    const struct source_row *rows;
    size_t count;
    bool round_done; /* nothing more of this round: commit now, later rows belong to the next */
};

MUST_CHECK bool source_open(const struct source_options *options, struct source **ret_source, struct error *e);
void source_free(struct source *source); /* NULL is fine */
DEFINE_CLEANUP(struct source *, source_free)

/* ERROR_FATAL if this is not the database that `position` was made on; else completes what position does not know yet.
 */
MUST_CHECK bool source_identify(struct source *source, struct position *position, struct error *e);

/* Goes on after `position`. */
MUST_CHECK bool source_resume(struct source *source, const struct position *position, struct error *e);

/* The next rows, waiting for some at most wait_us; count 0 if there are none. The page lasts until the next call. */
MUST_CHECK bool source_next(struct source *source, int64_t wait_us, struct source_page *ret_page, struct error *e);

/* From the next source_resume() on, pages of at most so many rows; 0: as the options say. */
void source_limit(struct source *source, int64_t rows);

/* Takes in what the server has sent of the page after this one; now and then while a long page is worked on. */
void source_pump(struct source *source);

/* Where the source stands when all that was handed out is published. Borrowed. */
const struct position *source_position(const struct source *source);

/* What is known to be waiting: rows not handed out yet; the time up to which everything has been handed out (now_us()).
 */
uint64_t source_waiting_rows(const struct source *source);
int64_t source_caught_up_us(const struct source *source);
