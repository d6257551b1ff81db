/* cleanup.h -- deletes published rows after a delay, in small batches. Only rows visible in `before` of a committed
 * position are ever deleted. One thread, that of the lease. */
#pragma once

#include "position.h"

#include <event_bus/pg.h>

enum { CLEANUP_SAMPLES_MAX = 8 };

struct cleanup_sample {
    struct snapshot before;
    int64_t taken_us; /* monotonic */
};

struct cleanup {
    const struct pg_statement *statement; /* sql/cleanup for the source's table */
    int64_t delay_us;
    struct cleanup_sample samples[CLEANUP_SAMPLES_MAX]; /* oldest first */
    size_t sample_count;
    struct cleanup_sample latest; /* before.text NULL: none; becomes a sample once that is due */
    uint64_t cleaned_xmin;        /* all published rows of older transactions are gone */
    uint64_t reached_xid;         /* of the oldest sample: rows of older transactions are gone */
    uint64_t deleted_rows;
};

void cleanup_init(struct cleanup *cleanup, const struct pg_statement *statement, int64_t delay_us);
void cleanup_release(struct cleanup *cleanup);

/* Remembers that all that `before` sees is published and the position committed. */
void cleanup_published(struct cleanup *cleanup, const struct snapshot *before, int64_t at_us);

/* How long to rest after a batch, in times that it took: long enough to leave the database to others, but not when
 * clean-up is late, for then the table grows. */
int cleanup_rest_factor(const struct cleanup *cleanup, int64_t at_us);

/* Deletes one batch of what was published at least the delay ago. *ret_more: there may be more to do now. */
MUST_CHECK bool cleanup_step(struct cleanup *cleanup, struct pg *pg, int64_t at_us, bool *ret_more, struct error *e);
