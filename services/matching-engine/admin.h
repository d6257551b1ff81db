/* admin.h -- the internal endpoints: the committed state of a market, for verify and for read models that start.
 *
 *   GET /internal/markets/:symbol/book    {symbol, seq, trade_id, posting_seq, book_seq, orders_seq, at_us, status,
 *                                          last_price_ticks, reference_price_ticks, checksum, bids, asks:
 *                                          [{price_ticks, quantity_lots, orders}] from the touch outwards: what shows}
 *   GET /internal/markets/:symbol/orders  the same head, orders [{order_id, user_id, side, price_ticks, filled_lots,
 *                                          remaining_lots, visible_lots, type, waiting}]: all open orders. Resting buys
 *                                          then sells, in the order they would trade; then waiting stop orders, buys
 *                                          then sells, in the order they would trigger. remaining_lots has what an
 *                                          iceberg hides; 0 of a buy by quote amount. Where an order has them:
 *                                          stop_price_ticks, quote_minor, display_lots, expires_at_us, quote_set
 * 64-bit numbers are strings, as in the JSON mapping of protobuf. */
#pragma once

#include "group.h"
#include "http.h"

extern const struct http_route admin_routes[];

/* What the handlers serve from. */
struct admin_state {
    struct group *group;
};
