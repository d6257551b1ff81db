-- Takes the switches that are due at $1 microseconds, at most $2: whoever takes them fires them, in the same transaction.
DELETE FROM dead_man_switches
 WHERE user_id IN (SELECT user_id FROM dead_man_switches
                    WHERE fires_at <= timestamptz 'epoch' + $1::int8 * interval '1 microsecond'
                    ORDER BY user_id LIMIT $2::int8 FOR UPDATE SKIP LOCKED)
RETURNING user_id
