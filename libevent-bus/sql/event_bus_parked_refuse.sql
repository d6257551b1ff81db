-- It was refused, for the first time or again. $1 group, $2 topic, $3 partition, $4 offset, $5 reason
UPDATE parked_events SET reason = $5::text, retry_at = NULL, attempts = attempts + 1
 WHERE consumer_group = $1::text AND topic = $2::text AND partition = $3::integer AND log_offset = $4::bigint
