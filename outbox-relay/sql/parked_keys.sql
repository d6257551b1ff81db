-- What is parked: topic and key, or a whole topic, or a single row without a key that clean-up has not removed yet. At most $1.
SELECT topic, key, whole_topic, 0::bigint FROM outbox_parked WHERE key IS NOT NULL OR whole_topic GROUP BY 1, 2, 3
UNION ALL
SELECT topic, NULL, false, id FROM outbox_parked p
 WHERE key IS NULL AND NOT whole_topic AND EXISTS (SELECT FROM outbox o WHERE o.id = p.id)
LIMIT $1::bigint
