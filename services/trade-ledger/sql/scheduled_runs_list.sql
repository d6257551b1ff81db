-- The last attempts of a scheduled transfer. $1 id, $2 at most.
SELECT occurrence, attempt, microseconds(at), problem, detail
  FROM scheduled_runs
 WHERE schedule_id = $1::int8
 ORDER BY occurrence DESC, attempt DESC
 LIMIT $2::int8
