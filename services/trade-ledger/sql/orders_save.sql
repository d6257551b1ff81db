-- What an execution, a release or an answer to an amendment changes of locked orders. $1 ids, $2 filled_lots, $3 held_minor,
-- $4 statuses, $5 reasons, $6 times in microseconds, $7 prices, $8 quantities, $9 amend statuses (0: no amendment), $10 amend holds.
UPDATE orders AS o
   SET filled_lots = n.filled_lots, held_minor = n.held_minor, status = n.status, reason = n.reason,
       updated_at = timestamptz 'epoch' + n.updated_at_us * interval '1 microsecond',
       price_ticks = n.price_ticks, quantity_lots = n.quantity_lots,
       amend_status = nullif(n.amend_status, 0), amend_hold_minor = nullif(n.amend_hold_minor, 0)
  FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int4[], $5::int4[], $6::int8[], $7::int8[], $8::int8[], $9::int4[], $10::int8[])
       AS n(id, filled_lots, held_minor, status, reason, updated_at_us, price_ticks, quantity_lots, amend_status, amend_hold_minor)
 WHERE o.id = n.id
