-- What becomes of locked two-phase transfers. $1 ids, $2 statuses, $3 what is posted, $4 time in microseconds.
UPDATE pending_transfers AS p
   SET status = n.status, posted = n.posted, updated_at = timestamptz 'epoch' + $4::int8 * interval '1 microsecond'
  FROM unnest($1::int8[], $2::int4[], $3::int8[]) AS n(id, status, posted)
 WHERE p.id = n.id
