-- Parks a row: $1 id, $2 event id, $3 topic, $4 key, $5 type, $6 payload, $7 traceparent, $8 headers, $9 written at (microseconds),
-- $10 reason, $11 whether its whole topic waits behind it.
INSERT INTO {parked} (id, event_id, topic, key, type, payload, traceparent, headers, created_at, reason, whole_topic)
VALUES ($1::bigint, $2::text, $3::text, $4::bytea, $5::text, $6::bytea, $7::text, $8::text[],
        timestamptz 'epoch' + $9::bigint * interval '1 microsecond', $10::text, $11::boolean)
    ON CONFLICT (id) DO NOTHING
