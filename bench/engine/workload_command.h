/* workload_command.h -- an operation of a workload as a command of the matching core. */
#pragma once

#include "engine_core.h"
#include "workload.h"

/* `at` is the command's time and, if it moves an order, the amendment's id: > 0, growing. `prices`, by order id, zeroed
 * at first, remembers where each order last wanted to be: a bid that moves up brings what it needs on top. The market's
 * lot and notional unit are 1. */
struct engine_command workload_command(const struct workload_op *op, uint16_t market, uint64_t at, int64_t *prices);
