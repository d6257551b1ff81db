-- Locks and names the kill switches that the engine has not been told of, at most $1.
SELECT k.user_id, k.market_id, k.engaged
  FROM kill_switches k
  JOIN markets m ON m.id = k.market_id AND m.published_version > 0
 WHERE NOT k.published
 ORDER BY k.user_id, k.market_id
 LIMIT $1::int8
   FOR NO KEY UPDATE OF k
