-- Which of these events must wait, because an earlier one of their key is parked: their places in the arrays, from 1.
-- $1 group; $2 topics, $3 partitions, $4 keys
SELECT n.nth
  FROM unnest($2::text[], $3::integer[], $4::bytea[]) WITH ORDINALITY AS n(topic, partition, key, nth)
 WHERE EXISTS (SELECT FROM parked_events AS p
                WHERE p.consumer_group = $1::text AND p.topic = n.topic AND p.partition = n.partition AND p.key = n.key)
 ORDER BY n.nth
