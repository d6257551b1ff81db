/* chores.h -- what the ledger does without anyone asking, once a second, whatever process gets to it first: each in a
 * transaction of its own, which takes the rows it acts on.
 *
 *   publish   assets, markets, reference prices and kill switches as they have changed, each change once
 *   ticks     tells a market's engine the time when an open order's end has come; while nothing is due, nothing
 *   dead men  cancels all orders of users whose switch is due
 *   transfers gives back what was set aside and not posted in time; makes those that are scheduled */
#pragma once

#include "commands.h"

/* Errors: TRANSIENT (the next round does it); FATAL. */
MUST_CHECK bool chores_run(
    struct pg *pg, struct outbox *outbox, struct trade_ledger *service, int64_t now_us, struct error *e);
