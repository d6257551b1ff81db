-- What is parked: topic and key, or a whole topic, or a single row without a key. At most $1.
SELECT topic, key, whole_topic, 0::bigint FROM {parked} WHERE key IS NOT NULL OR whole_topic GROUP BY 1, 2, 3
UNION ALL
SELECT topic, NULL, false, id FROM {parked} p
 WHERE key IS NULL AND NOT whole_topic AND NOT EXISTS (SELECT FROM {parked} w WHERE w.topic = p.topic AND w.whole_topic)
LIMIT $1::bigint
