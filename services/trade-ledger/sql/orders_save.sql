-- What an execution or release changes of locked orders. $1 ids, $2 filled_lots, $3 held_minor, $4 statuses, $5 reasons,
-- $6 times in microseconds.
UPDATE orders AS o
   SET filled_lots = n.filled_lots, held_minor = n.held_minor, status = n.status, reason = n.reason,
       updated_at = timestamptz 'epoch' + n.updated_at_us * interval '1 microsecond'
  FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int4[], $5::int4[], $6::int8[])
       AS n(id, filled_lots, held_minor, status, reason, updated_at_us)
 WHERE o.id = n.id
