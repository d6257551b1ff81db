/* parking.h -- rows that Kafka refuses, set aside in table outbox_parked with the reason, so that the others go on.
 *
 * Order per key is kept: while a row is parked, later rows of its topic and key are parked behind it (all rows of the
 * topic if the topic itself is the trouble). A row that is in the table is never published. Deleting a key's rows there
 * gives them up: the key goes on with the next row. One thread; a connection only while something is parked. */
#pragma once

#include "source.h"

#include <event_bus/pg.h>

enum { PARKING_ENTRIES_MAX = 100000 };

struct parking;

/* dsn must outlive it. Errors: as pg_open(); FATAL: more is parked than PARKING_ENTRIES_MAX keys. */
MUST_CHECK bool parking_open(const char *dsn, struct parking **ret_parking, struct error *e);
void parking_free(struct parking *parking); /* NULL is fine */
DEFINE_CLEANUP(struct parking *, parking_free)

/* Parks one row of the source. */
MUST_CHECK bool parking_park(
    struct parking *parking, uint64_t row_id, const char *reason, bool whole_topic, struct error *e);

/* Parks what must wait behind parked rows, and flawed rows. ret_parked[i] tells it of row i; *ret_count how many. */
MUST_CHECK bool parking_filter(
    struct parking *parking, const struct source_page *page, bool *ret_parked, size_t *ret_count, struct error *e);
