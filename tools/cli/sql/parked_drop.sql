-- Gives a dead letter up; what waits behind it goes on. $1 group, $2 topic, $3 partition, $4 offset
SELECT parked_drop($1::text, $2::text, $3::integer, $4::bigint)
