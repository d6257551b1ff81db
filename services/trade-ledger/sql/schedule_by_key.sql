-- A user's scheduled transfer by the key it was asked for with. $1 user, $2 key.
SELECT s.id, s.user_id, s.to_user_id, s.asset_id::int4, s.amount, s.note, s.every::int4, microseconds(s.first_at), s.occurrence,
       microseconds(s.next_at), s.attempts, s.status::int4, microseconds(s.created_at), s.failures
  FROM scheduled_transfers s
 WHERE s.user_id = $1::int8 AND s.key = $2::text
