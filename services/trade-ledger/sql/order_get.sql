-- One order, if it is the user's. $1 order, $2 user.
SELECT o.id, o.user_id, o.market_id, o.side, o.type, o.time_in_force, o.post_only, o.price_ticks, o.quantity_lots,
       o.filled_lots, o.held_minor, o.status, o.reason, o.cancel_requested, o.client_order_id,
       (extract(epoch FROM o.created_at) * 1000000)::int8, (extract(epoch FROM o.updated_at) * 1000000)::int8
  FROM orders o
 WHERE o.id = $1::int8 AND o.user_id = $2::int8
