-- Amendments that were passed on to the engine. $1 ids of locked orders, $2 amend ids, $3 prices, $4 quantities, $5 what was set aside
-- for each, $6 time in microseconds.
UPDATE orders AS o
   SET amend_id = n.amend_id, amend_status = 1, amend_price_ticks = n.price_ticks, amend_quantity_lots = n.quantity_lots,
       amend_hold_minor = nullif(n.hold_minor, 0), updated_at = timestamptz 'epoch' + $6::int8 * interval '1 microsecond'
  FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int8[]) AS n(id, amend_id, price_ticks, quantity_lots, hold_minor)
 WHERE o.id = n.id
