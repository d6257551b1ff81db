/* parked.h -- dead letters that a consumer keeps in its database (parked_events), with what waits behind them. Only
 * there can they be handled before their followers; Kafka has a copy to look at. */
#pragma once

#include "cli.h"

/* Column by column; texts are borrowed. The same letter may be named more than once. */
struct parked_letters {
    size_t count;
    const char **groups, **topics; /* bare */
    int32_t *partitions;
    int64_t *offsets;
};

enum parked_request { PARKED_RETRY, PARKED_DROP };

/* Asks all services' databases that are set. *ret_count: letters found, each once; what is handled or dropped already
 * is not. Errors: INVALID (no database is set), as pg_query(). */
MUST_CHECK bool parked_ask(
    enum parked_request request, const struct parked_letters *letters, int64_t *ret_count, struct error *e);
