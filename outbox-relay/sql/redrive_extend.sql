-- What is parked behind rows whose redrive was asked for goes with them.
UPDATE {parked} p SET redrive = asked.redrive
  FROM (SELECT topic, key, bool_or(whole_topic) AS whole_topic, max(redrive) AS redrive
          FROM {parked} WHERE redrive IS NOT NULL GROUP BY topic, key) AS asked
 WHERE p.redrive IS NULL AND p.topic = asked.topic AND (asked.whole_topic OR p.key = asked.key)
