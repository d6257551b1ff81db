-- A user's orders, newest first. $1 user, $2 only ids below, $3 statuses, $4 market (0: all), $5 at most; accepted from $6 on and
-- before $7 microseconds.
SELECT o.id, o.user_id, o.market_id, o.side, o.type, o.time_in_force, o.post_only, o.price_ticks, o.quantity_lots,
       o.filled_lots, o.held_minor, o.status, o.reason, o.cancel_requested, o.client_order_id,
       (extract(epoch FROM o.created_at) * 1000000)::int8, (extract(epoch FROM o.updated_at) * 1000000)::int8,
       o.stop_price_ticks, o.quote_minor, o.display_lots, (extract(epoch FROM o.expires_at) * 1000000)::int8, o.post_only_mode,
       o.self_trade_prevention, o.quote_set, coalesce(o.maker_fee_ppm, -1), coalesce(o.taker_fee_ppm, -1),
       o.amend_id, o.amend_status, o.amend_price_ticks, o.amend_quantity_lots, o.amend_hold_minor
  FROM orders o
 WHERE o.user_id = $1::int8 AND o.id < $2::int8 AND o.status = ANY ($3::int4[]) AND ($4::int4 = 0 OR o.market_id = $4)
   AND o.created_at >= timestamptz 'epoch' + $6::int8 * interval '1 microsecond'
   AND o.created_at < timestamptz 'epoch' + $7::int8 * interval '1 microsecond'
 ORDER BY o.id DESC
 LIMIT $5::int8
