/* self_check.h -- the ledger checks itself, a little every second:
 *
 *   balances   each account's balance is what its last entry left (a look-up for each account), and, at the end of each
 *              pass, each asset's balances sum to zero
 *   entries    each entry leaves what the one before it left and its own movement: so a balance is the sum of its
 * entries journals   the entries of each sum to zero per asset
 *
 * Each goes by ranges and begins anew at its end; how far it has come is a row, so a restart goes on. A difference is
 * logged once, counted by a metric, makes /health say so, and is forgotten when a later pass does not find it any more.
 * What was tampered with is found within accounts / SELF_CHECK_ACCOUNTS_PER_SECOND, entries /
 * SELF_CHECK_ENTRIES_PER_SECOND seconds. */
#pragma once

#include "commands.h"

/* One second's worth, in a transaction of its own. Errors: TRANSIENT; FATAL. */
MUST_CHECK bool self_check_step(struct pg *pg, struct trade_ledger *service, struct error *e);

/* For /health. */
bool self_check_healthy(const struct trade_ledger *service, char *ret_reason, size_t size);
