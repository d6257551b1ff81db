-- Gives these dead letters up; what waits behind them goes on. A letter named twice counts once.
-- $1 groups, $2 topics, $3 partitions, $4 offsets
SELECT coalesce(sum(parked_drop(l.consumer_group, l.topic, l.partition, l.log_offset)), 0)::bigint
  FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[])
        AS u(consumer_group, topic, partition, log_offset)) AS l
