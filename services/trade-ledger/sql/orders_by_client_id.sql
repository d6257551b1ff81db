-- Orders by client_order_id, not locked. $1 users, $2 client_order_ids.
SELECT o.id, o.user_id, o.market_id, o.side, o.type, o.time_in_force, o.post_only, o.price_ticks, o.quantity_lots,
       o.filled_lots, o.held_minor, o.status, o.reason, o.cancel_requested, o.client_order_id,
       (extract(epoch FROM o.created_at) * 1000000)::int8, (extract(epoch FROM o.updated_at) * 1000000)::int8,
       o.stop_price_ticks, o.quote_minor, o.display_lots, (extract(epoch FROM o.expires_at) * 1000000)::int8, o.post_only_mode,
       o.self_trade_prevention, o.quote_set, coalesce(o.maker_fee_ppm, -1), coalesce(o.taker_fee_ppm, -1),
       o.amend_id, o.amend_status, o.amend_price_ticks, o.amend_quantity_lots, o.amend_hold_minor
  FROM orders o
 WHERE (o.user_id, o.client_order_id) IN (SELECT * FROM unnest($1::int8[], $2::text[]))
