/* parked.h -- dead letters that a consumer keeps in its database (parked_events), with what waits behind them. Only
 * there can they be handled before their followers; Kafka has a copy to look at. */
#pragma once

#include "cli.h"

struct parked_letter {
    const char *group, *topic; /* bare */
    int32_t partition;
    int64_t offset;
};

enum parked_request { PARKED_RETRY, PARKED_DROP };

/* Asks all services' databases that are set. *ret_count: letters found; 0: it is handled or dropped already. Errors:
 * INVALID (no database is set), as pg_query(). */
MUST_CHECK bool parked_ask(
    enum parked_request request, const struct parked_letter *letter, int64_t *ret_count, struct error *e);
