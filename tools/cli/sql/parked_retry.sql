-- The consumer tries a dead letter again, and then what waits behind it. $1 group, $2 topic, $3 partition, $4 offset
SELECT parked_retry($1::text, $2::text, $3::integer, $4::bigint)
