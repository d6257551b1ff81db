-- Parks row $1, because of $2; $3: its whole topic waits behind it.
INSERT INTO outbox_parked (id, topic, key, type, payload, traceparent, headers, created_at, reason, whole_topic)
SELECT id, topic, key, type, payload, traceparent, headers, created_at, $2::text, $3::boolean
  FROM outbox
 WHERE id = $1::bigint
    ON CONFLICT (id) DO NOTHING
