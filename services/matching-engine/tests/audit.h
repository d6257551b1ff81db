/* audit.h -- reads an engine's records as a distrustful ledger would: sequences gapless, legs of each posting zero per
 * asset, no hold overdrawn, holds of closed orders given back to the last unit, level-2 changes sum up to the engine's
 * own depth. */
#pragma once

#include "engine_core.h"

#include <event_bus/base.h>

struct audit;

struct audit *audit_new(void);
void audit_free(struct audit *audit);
DEFINE_CLEANUP(struct audit *, audit_free)

void audit_set_engine(struct audit *audit, const struct engine *engine);

/* The ledger accepted this order and set its hold aside. */
void audit_accept(struct audit *audit, uint16_t market, const struct engine_command *order);

/* Feed of `drain`. Fails the running test on the first violation. */
void audit_records(void *audit, const struct engine_record *first, size_t size);

/* After a flush: what is still held is what the resting orders need, and the depth built from BOOK records is the
 * engine's. */
void audit_settled(struct audit *audit);

#define each_record(record, first, size)                                                                               \
    const struct engine_record *record = (first);                                                                      \
    (const char *)record < (const char *)(first) + (size);                                                             \
    record = (const void *)((const char *)record + record->size)
