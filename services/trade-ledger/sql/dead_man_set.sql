-- Arms dead man's switches anew, by user. $1 users, $2 timeouts in seconds, $3 now in microseconds.
INSERT INTO dead_man_switches (user_id, timeout_s, fires_at)
SELECT n.user_id, n.timeout_s, timestamptz 'epoch' + $3::int8 * interval '1 microsecond' + n.timeout_s * interval '1 second'
  FROM unnest($1::int8[], $2::int4[]) AS n(user_id, timeout_s)
 ORDER BY n.user_id
    ON CONFLICT (user_id) DO UPDATE SET timeout_s = excluded.timeout_s, fires_at = excluded.fires_at
