-- Row $1 is refused again, because of $2: it stays, and what waits behind it; $3: all of its topic.
UPDATE {parked} p
   SET redrive = NULL, reason = CASE WHEN p.id = culprit.id THEN $2::text ELSE p.reason END
  FROM (SELECT id, topic, key FROM {parked} WHERE id = $1::bigint) AS culprit
 WHERE p.redrive IS NOT NULL AND p.topic = culprit.topic AND (p.id = culprit.id OR p.key = culprit.key OR $3::boolean)
