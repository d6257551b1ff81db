/* rerun.h -- rows that are published out of turn, on request: parked ones after all (redrive), and ones that were
 * published again (replay). The relay's thread, between two rounds; how far it came is in the position, so a row of a
 * request is published once whatever dies. One connection, only while there is something to do. */
#pragma once

#include "control.h"
#include "source.h"

struct rerun;

/* `options` and what they point to must outlive it. Errors: as source_open(). */
MUST_CHECK bool rerun_open(const struct source_options *options, struct rerun **ret_rerun, struct error *e);
void rerun_free(struct rerun *rerun); /* NULL is fine */
DEFINE_CLEANUP(struct rerun *, rerun_free)

/* The next parked rows to publish, after forgetting those that `position` says are published; count 0: no more.
 * *ret_next is the position once the page is published; initialised by the caller. The page lasts until the next call.
 */
MUST_CHECK bool rerun_parked(struct rerun *rerun, const struct position *position, int64_t rows_max,
    struct source_page *ret_page, struct position *ret_next, struct error *e);

/* Kafka refused a parked row again: it stays parked, with what waits behind it. */
MUST_CHECK bool rerun_refused(
    struct rerun *rerun, uint64_t row_id, const char *reason, bool whole_topic, struct error *e);

/* The next published rows to repeat; count 0: the request is done. */
MUST_CHECK bool rerun_published(struct rerun *rerun, const struct position *position, const struct control *control,
    struct source_page *ret_page, struct position *ret_next, struct error *e);
