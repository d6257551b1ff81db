-- The accounts that an execution moves: both assets of each trading order's market, for its user and for the fees.
-- $1: ids of trading orders. In one order for all, as accounts_create.
INSERT INTO accounts (owner_id, kind, asset_id)
SELECT n.owner_id, n.kind, n.asset_id
  FROM (SELECT DISTINCT w.owner_id, w.kind, s.asset_id
          FROM orders o
          JOIN markets m ON m.id = o.market_id,
               LATERAL (VALUES (o.user_id, 1), (0, 3)) AS w(owner_id, kind),
               LATERAL (VALUES (m.base_asset_id), (m.quote_asset_id)) AS s(asset_id)
         WHERE o.id = ANY ($1::int8[])) AS n
 WHERE NOT EXISTS (SELECT FROM accounts a
                    WHERE a.owner_id = n.owner_id AND a.kind = n.kind AND a.asset_id = n.asset_id)
 ORDER BY 1, 2, 3
    ON CONFLICT DO NOTHING
