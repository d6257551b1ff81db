-- Where a consumer group stands, one row for each partition asked for, in that order; NULLs where it has no position yet.
-- $1 group, $2 topics (text[]), $3 partitions (int4[])
SELECT c.next_offset, c.cluster_id, c.last_offset, c.last_digest
  FROM unnest($2::text[], $3::integer[]) WITH ORDINALITY AS n(topic, partition, nth)
  LEFT JOIN consumer_positions AS c
    ON c.consumer_group = $1::text AND c.topic = n.topic AND c.partition = n.partition
 ORDER BY n.nth
