/* parking.h -- rows that Kafka refuses, set aside in table outbox_parked with the reason, so that the others go on.
 *
 * Order per key is kept: while a row is parked, later rows of its topic and key are parked behind it (all rows of the
 * topic if the topic itself is the trouble), in the order in which they would have been published. A row that is in the
 * table is never published, until its redrive is asked for (redrive.h); deleting a key's rows there gives them up: the
 * key goes on with the next row. One thread; a connection only while something is parked. */
#pragma once

#include "source.h"

#include <event_bus/pg.h>

enum { PARKING_ENTRIES_MAX = 100000 };

struct parking;

/* dsn must outlive it. Errors: as pg_open(); FATAL: more is parked than PARKING_ENTRIES_MAX keys. */
MUST_CHECK bool parking_open(
    const char *dsn, const struct mapping *mapping, struct parking **ret_parking, struct error *e);
void parking_free(struct parking *parking); /* NULL is fine */
DEFINE_CLEANUP(struct parking *, parking_free)

/* From now on this row is parked when it is read, with the reason; or, topic not NULL, the next row of the topic, and
 * all of the topic behind it. One at a time. */
void parking_refuse(struct parking *parking, uint64_t row_id, const char *topic, const char *reason);

/* Parks what was refused, what is flawed, and what must wait behind parked rows. ret_parked[i] tells it of row i;
 * *ret_count how many. */
MUST_CHECK bool parking_filter(
    struct parking *parking, const struct source_page *page, bool *ret_parked, size_t *ret_count, struct error *e);

/* Looks again at what is parked: rows were taken out. */
MUST_CHECK bool parking_load(struct parking *parking, struct error *e);
