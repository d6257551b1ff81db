-- What the house has agreed with users $1, NULL as -1, and whom it has blocked where (market_id, else 0). Where orders are counted
-- ($2: for all users): how many are open, at most $3, and were placed after $4 microseconds, at most $5.
WITH n AS (SELECT DISTINCT user_id FROM unnest($1::int8[]) AS u(user_id))
SELECT n.user_id, 0 AS market_id, coalesce(t.maker_fee_ppm, -1), coalesce(t.taker_fee_ppm, -1), coalesce(t.open_orders_max, -1),
       coalesce(t.orders_per_s_max, -1), coalesce(t.notional_minor_max, -1),
       CASE WHEN $2::bool OR t.open_orders_max IS NOT NULL THEN
           (SELECT count(*) FROM (SELECT FROM orders o WHERE o.user_id = n.user_id AND o.status IN (1, 2) LIMIT $3::int8) x) ELSE 0 END,
       CASE WHEN $2 OR t.orders_per_s_max IS NOT NULL THEN
           (SELECT count(*) FROM (SELECT o.created_at FROM orders o WHERE o.user_id = n.user_id ORDER BY o.id DESC LIMIT $5::int8) x
             WHERE x.created_at > timestamptz 'epoch' + $4::int8 * interval '1 microsecond') ELSE 0 END
  FROM n
  LEFT JOIN traders t USING (user_id)
 WHERE $2 OR t.user_id IS NOT NULL
UNION ALL
SELECT k.user_id, k.market_id, -1, -1, -1, -1, -1, 0, 0 FROM kill_switches k JOIN n USING (user_id) WHERE k.engaged
