-- Locks and reads the accounts that orders and their executions may move. $1: ids of orders.
SELECT a.id, a.owner_id, a.kind, a.asset_id, a.available, a.held, a.status, a.overdraft_minor
  FROM accounts a
 WHERE (a.owner_id, a.kind, a.asset_id) IN (
        SELECT w.owner_id, w.kind, s.asset_id
          FROM orders o
          JOIN markets m ON m.id = o.market_id,
               LATERAL (VALUES (o.user_id, 1), (0, 3)) AS w(owner_id, kind),
               LATERAL (VALUES (m.base_asset_id), (m.quote_asset_id)) AS s(asset_id)
         WHERE o.id = ANY ($1::int8[]))
 ORDER BY a.id
   FOR UPDATE OF a
