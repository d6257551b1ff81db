-- $1 schedules, $2 occurrences, $3 attempts, $4 problems (NULL: made), $5 details, $6 time in microseconds.
INSERT INTO scheduled_runs (schedule_id, occurrence, attempt, at, problem, detail)
SELECT n.schedule_id, n.occurrence, n.attempt, at_microseconds($6::int8), n.problem, n.detail
  FROM unnest($1::int8[], $2::int8[], $3::int4[], $4::text[], $5::text[]) AS n(schedule_id, occurrence, attempt, problem, detail)
