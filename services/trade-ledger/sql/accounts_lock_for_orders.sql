-- As accounts_lock, and besides the accounts that hold for certain orders. $1 owners, $2 kinds, $3 assets; $4 ids of orders; $5 users
-- and $6 client_order_ids of others. What it reads of an order never changes.
SELECT a.id, a.owner_id, a.kind, a.asset_id, a.available, a.held, a.status, a.overdraft_minor
  FROM accounts a
 WHERE (a.owner_id, a.kind, a.asset_id) IN (
        SELECT * FROM unnest($1::int8[], $2::int4[], $3::int4[])
        UNION
        SELECT o.user_id, 1, CASE o.side WHEN 1 THEN m.quote_asset_id ELSE m.base_asset_id END
          FROM orders o
          JOIN markets m ON m.id = o.market_id
         WHERE o.id IN (SELECT unnest($4::int8[])
                         UNION
                        SELECT c.id
                          FROM orders c
                          JOIN unnest($5::int8[], $6::text[]) AS n(user_id, client_order_id) USING (user_id, client_order_id)))
 ORDER BY a.id
   FOR UPDATE OF a
