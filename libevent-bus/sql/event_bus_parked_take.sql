-- Takes an event out, to be handled in this transaction. $1 group, $2 topic, $3 partition, $4 offset
DELETE FROM parked_events
 WHERE consumer_group = $1::text AND topic = $2::text AND partition = $3::integer AND log_offset = $4::bigint
RETURNING key, ce_id, source, type, subject, traceparent, time_us, value, flaw
