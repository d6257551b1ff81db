-- First positions of partitions a group has never read; one that is there already stays.
-- $1 group, $2 topics (text[]), $3 partitions (int4[]), $4 offsets (int8[]), $5 cluster id
INSERT INTO consumer_positions (consumer_group, topic, partition, next_offset, cluster_id)
SELECT $1::text, n.topic, n.partition, n.next_offset, $5::text
  FROM unnest($2::text[], $3::integer[], $4::bigint[]) AS n(topic, partition, next_offset)
ON CONFLICT DO NOTHING
