-- Where users $1 have open orders.
SELECT DISTINCT o.user_id, o.market_id
  FROM orders o
 WHERE o.user_id = ANY ($1::int8[]) AND o.status IN (1, 2)
 ORDER BY 1, 2
