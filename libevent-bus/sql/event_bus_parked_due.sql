-- How many events of these partitions are parked, and which are due: the first of its key, when it waits for nothing (any more) or is
-- wanted tried again. At least one row; offset NULL when nothing is due. $1 group, $2 topics, $3 partitions, $4 at most
WITH parked AS (
    SELECT p.topic, p.partition, p.key, p.log_offset, p.reason, p.retry_at
      FROM unnest($2::text[], $3::integer[]) AS n(topic, partition)
      JOIN parked_events AS p ON p.consumer_group = $1::text AND p.topic = n.topic AND p.partition = n.partition),
heads AS (
    SELECT DISTINCT ON (topic, partition, key, CASE WHEN key IS NULL THEN log_offset END) topic, partition, log_offset, reason, retry_at
      FROM parked
     ORDER BY topic, partition, key, CASE WHEN key IS NULL THEN log_offset END, log_offset),
due AS (
    SELECT topic, partition, log_offset FROM heads WHERE reason IS NULL OR retry_at IS NOT NULL ORDER BY 1, 2, 3 LIMIT $4::bigint)
SELECT (SELECT count(*) FROM parked), due.topic, due.partition, due.log_offset
  FROM (VALUES (1)) AS one LEFT JOIN due ON true
