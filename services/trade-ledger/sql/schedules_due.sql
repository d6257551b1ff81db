-- Scheduled transfers whose time has come. $1 microseconds, $2 at most.
SELECT s.id, s.user_id, s.to_user_id, s.asset_id::int4, s.amount, s.note, s.every::int4, microseconds(s.first_at), s.occurrence,
       microseconds(s.next_at), s.attempts, s.status::int4, microseconds(s.created_at), s.failures
  FROM scheduled_transfers s
 WHERE s.status = 1 AND s.next_at <= at_microseconds($1::int8)
 ORDER BY s.next_at
 LIMIT $2::int8
   FOR UPDATE SKIP LOCKED
