-- Parked rows whose redrive was asked for, oldest request first, as they were parked: at most $1, and no more once the payloads of
-- those before come to $2 bytes. Columns as of page.sql, then request and place.
SELECT id, topic, key, type, payload, traceparent, headers, created_at, event_id, redrive, position
  FROM (SELECT *, coalesce(sum(octet_length(payload)) OVER (ORDER BY redrive, position), 0)
                  - coalesce(octet_length(payload), 0) AS bytes_before
          FROM (SELECT * FROM {parked} WHERE redrive IS NOT NULL ORDER BY redrive, position LIMIT $1::bigint) AS page) AS measured
 WHERE bytes_before < $2::bigint
 ORDER BY redrive, position
