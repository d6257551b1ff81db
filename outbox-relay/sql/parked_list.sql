-- The first $1 parked rows, in the order in which they were parked.
SELECT id, topic, encode(coalesce(substring(key FOR 64), ''), 'escape'), type, reason, whole_topic, redrive IS NOT NULL,
       to_char(parked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
  FROM {parked} ORDER BY position LIMIT $1::bigint
