/* admin.h -- the internal endpoints: the committed state of a market, for verify and for read models that start.
 *
 *   GET /internal/markets/:symbol/book    {symbol, seq, trade_id, posting_seq, book_seq, at_us, last_price_ticks,
 *                                          bids, asks: [{price_ticks, quantity_lots, orders}] from the touch outwards}
 *   GET /internal/markets/:symbol/orders  the same head, orders [{order_id, user_id, side, price_ticks, filled_lots,
 *                                          remaining_lots}]: buys then sells, in the order they would trade
 * 64-bit numbers are strings, as in the JSON mapping of protobuf. */
#pragma once

#include "group.h"
#include "http.h"

extern const struct http_route admin_routes[];

/* What the handlers serve from. */
struct admin_state {
    struct group *group;
};
