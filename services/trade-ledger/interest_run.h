/* interest_run.h -- accrues each day that has ended for each account, once, and books each month that has: also those
 * that were missed while nothing ran, day by day with the balances of those days. Interest counts as balance from when
 * it is booked. One process at a time. */
#pragma once

#include "commands.h"

/* Everything that is due at a time, some hundred accounts a transaction; at most so many transactions. *ret_more: there
 * is more to do. Errors: TRANSIENT (the next call goes on); FATAL. */
MUST_CHECK bool interest_run(struct pg *pg, struct outbox *outbox, struct trade_ledger *service, int64_t now_us,
    bool *ret_more, struct error *e);
