/* inbox.h -- requests that had their effect, so that the same request in a second record has none.
 *
 * Kafka hands each record over once; but a client that was not sure whether its request arrived sends it again, and
 * that is another record with the same ce_source and ce_id. Table `inbox` of the caller's database (schemas/common/)
 * remembers both, in the transaction of the effects: a batch that is rolled back was never seen. */
#pragma once

#include "consumer.h"

/* Called by a handler, once for its batch, after it has judged: deliveries that have a verdict already are passed over,
 * for what is refused now may be tried again later. ret_fresh[i]: this one is to have its effect. Otherwise it had it,
 * in an earlier batch or by an earlier delivery of this one; or its id was used for another value, and its verdict says
 * so (REFUSED, field ce_id). Waits for a transaction that takes the same request at this moment. One round trip.
 * Errors: as pg_query(). */
EB_API MUST_CHECK bool inbox_take(
    struct pg *pg, struct delivery *deliveries, size_t count, bool *ret_fresh, struct error *e);
