-- As accounts_lock_for_orders, and besides accounts by their ids. $1 owners, $2 kinds, $3 assets; $4 ids of orders; $5 users and
-- $6 client_order_ids of others; $7 ids of accounts, $8 of two-phase transfers, $9 of journals to reverse, $10 of adjustments. What it reads of
-- others' rows never changes.
SELECT a.id, a.owner_id, a.kind, a.asset_id, a.available, a.held, a.status, a.overdraft_minor
  FROM accounts a
 WHERE a.id IN (
        SELECT k.id
          FROM accounts k
          JOIN unnest($1::int8[], $2::int4[], $3::int4[]) AS n(owner_id, kind, asset_id) USING (owner_id, kind, asset_id)
        UNION
        SELECT k.id
          FROM orders o
          JOIN markets m ON m.id = o.market_id
          JOIN accounts k ON k.owner_id = o.user_id AND k.kind = 1
                         AND k.asset_id = CASE o.side WHEN 1 THEN m.quote_asset_id ELSE m.base_asset_id END
         WHERE o.id IN (SELECT unnest($4::int8[])
                         UNION
                        SELECT c.id
                          FROM orders c
                          JOIN unnest($5::int8[], $6::text[]) AS n(user_id, client_order_id) USING (user_id, client_order_id))
        UNION
        SELECT unnest($7::int8[])
        UNION
        SELECT unnest(ARRAY[p.from_account_id, p.to_account_id]) FROM pending_transfers p WHERE p.id = ANY ($8::int8[])
        UNION
        SELECT e.account_id FROM entries e WHERE e.journal_id = ANY ($9::int8[])
        UNION
        SELECT unnest(d.account_ids) FROM adjustments d WHERE d.id = ANY ($10::int8[]))
 ORDER BY a.id
   FOR UPDATE OF a
