/* audit.h -- reads an engine's records as a distrustful ledger would: sequences gapless, legs of each posting zero per
 * asset, no hold overdrawn, holds of closed orders given back to the last unit, level-2 and level-3 changes sum up to
 * the engine's own book, fees never exceed what was received. */
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

/* It set aside more for an amendment, before the engine answers it. */
void audit_accept_amend(struct audit *audit, const struct engine_command *amend);

/* What the ledger knows of an open order. false: there is none. */
struct audit_order {
    int64_t held_minor, filled_lots;
    uint8_t side;
};
bool audit_order(const struct audit *audit, uint64_t order_id, struct audit_order *ret_order);

/* Feed of `drain`. Fails the running test on the first violation. */
void audit_records(void *audit, const struct engine_record *first, size_t size);

/* After a flush: what is still held is what the resting orders need, and the depth built from BOOK records is the
 * engine's. */
void audit_settled(struct audit *audit);
