/* commands_postings.h -- booking what the engine says happened. */
#pragma once

#include "commands.h"
#include "posting_rules.h"

#include <event_bus/consumer.h>

/* events[i] is the decoded deliveries[i], or NULL where the delivery's verdict is set already. A refused event gets its
 * verdict; the others are booked, in order. false: nothing is stored. Errors: TRANSIENT; FATAL when postings are
 * missing. */
MUST_CHECK bool postings_run(struct pg *pg, struct outbox *outbox, struct trade_ledger *service, struct arena *arena,
    struct delivery *deliveries, Penstock__Ledger__V1__PostingsEmitted *const *events, size_t count, int64_t now_us,
    struct error *e);
