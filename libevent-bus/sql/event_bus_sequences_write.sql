-- Remembers the highest ce_sequence handled. $1 group; columns: $2 topics, $3 partitions, $4 sources, $5 numbers
INSERT INTO consumer_sequences (consumer_group, topic, partition, source, highest)
SELECT $1::text, n.* FROM unnest($2::text[], $3::integer[], $4::text[], $5::bigint[]) AS n
ON CONFLICT (consumer_group, topic, partition, source) DO UPDATE SET highest = excluded.highest
