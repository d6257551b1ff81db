-- Locks and reads orders. $1 ids; $2 users and $3 client_order_ids of others.
SELECT o.id, o.user_id, o.market_id, o.side, o.type, o.time_in_force, o.post_only, o.price_ticks, o.quantity_lots,
       o.filled_lots, o.held_minor, o.status, o.reason, o.cancel_requested, o.client_order_id,
       (extract(epoch FROM o.created_at) * 1000000)::int8, (extract(epoch FROM o.updated_at) * 1000000)::int8
  FROM orders o
 WHERE o.id IN (SELECT unnest($1::int8[])
                 UNION
                SELECT c.id
                  FROM orders c
                  JOIN unnest($2::int8[], $3::text[]) AS n(user_id, client_order_id) USING (user_id, client_order_id))
 ORDER BY o.id
   FOR UPDATE OF o
