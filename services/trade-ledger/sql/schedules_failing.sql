-- Scheduled transfers that fail, newest first, with the time and the problem of the last attempt. $1 user (0: any), $2 only ids below, $3 at most.
SELECT s.id, s.user_id, s.to_user_id, s.asset_id::int4, s.amount, s.note, s.every::int4, microseconds(s.first_at), s.occurrence,
       microseconds(s.next_at), s.attempts, s.status::int4, microseconds(s.created_at), s.failures,
       microseconds(r.at), r.problem
  FROM scheduled_transfers s
  LEFT JOIN LATERAL (SELECT at, problem FROM scheduled_runs WHERE schedule_id = s.id ORDER BY occurrence DESC, attempt DESC LIMIT 1) r ON true
 WHERE (s.status IN (5, 6) OR s.attempts > 0 OR s.failures > 0) AND s.status <> 3
   AND ($1::int8 = 0 OR s.user_id = $1) AND s.id < $2::int8
 ORDER BY s.id DESC
 LIMIT $3::int8
