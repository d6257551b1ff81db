-- Parks a row if its key, or whole topic, is parked. $1 id, $2 event id, $3 topic, $4 key, $5 type, $6 payload, $7 traceparent,
-- $8 headers, $9 written at (microseconds).
INSERT INTO {parked} (id, event_id, topic, key, type, payload, traceparent, headers, created_at, reason, whole_topic)
SELECT $1::bigint, $2::text, $3::text, $4::bytea, $5::text, $6::bytea, $7::text, $8::text[],
       timestamptz 'epoch' + $9::bigint * interval '1 microsecond', 'waits behind row ' || first.id, false
  FROM (SELECT id FROM {parked} WHERE topic = $3::text AND (whole_topic OR key = $4::bytea) ORDER BY position LIMIT 1) AS first
    ON CONFLICT (id) DO NOTHING
