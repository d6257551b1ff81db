-- Those of the users $1 whose orders are counted ($2: all are) go one after the other, by a lock on the user: two orders that use
-- different accounts would otherwise each miss the other in its count. Before all other locks.
SELECT pg_advisory_xact_lock(u.user_id)
  FROM (SELECT DISTINCT n.user_id
          FROM unnest($1::int8[]) AS n(user_id)
         WHERE $2::bool OR EXISTS (SELECT FROM traders t
                                    WHERE t.user_id = n.user_id AND (t.open_orders_max IS NOT NULL OR t.orders_per_s_max IS NOT NULL))
         ORDER BY n.user_id) AS u
