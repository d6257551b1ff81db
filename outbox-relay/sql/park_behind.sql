-- Parks those of the rows $1 whose key, or whole topic, is parked with an earlier row.
INSERT INTO outbox_parked (id, topic, key, type, payload, traceparent, headers, created_at, reason, whole_topic)
SELECT o.id, o.topic, o.key, o.type, o.payload, o.traceparent, o.headers, o.created_at, 'waits behind row ' || first.id, false
  FROM outbox o,
       LATERAL (SELECT min(p.id) AS id FROM outbox_parked p WHERE p.topic = o.topic AND (p.whole_topic OR p.key = o.key)) first
 WHERE o.id = ANY ($1::bigint[]) AND first.id < o.id
    ON CONFLICT (id) DO NOTHING
