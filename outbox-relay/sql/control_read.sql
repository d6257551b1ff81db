-- What is asked of the relay of source $1. Also a sign of life: it moves state_change in pg_stat_activity.
SELECT paused, redrive, replay, coalesce(replay_from_id, 0), coalesce((extract(epoch FROM replay_from) * 1000000)::bigint, 0)
  FROM {control} WHERE source = $1::text
