-- Makes the accounts that do not exist yet. $1 owners, $2 kinds, $3 assets. In one order for all, so that two who make the same
-- accounts wait for each other in one direction only.
INSERT INTO accounts (owner_id, kind, asset_id)
SELECT DISTINCT n.owner_id, n.kind, n.asset_id
  FROM unnest($1::int8[], $2::int4[], $3::int4[]) AS n(owner_id, kind, asset_id)
 WHERE NOT EXISTS (SELECT FROM accounts a
                    WHERE a.owner_id = n.owner_id AND a.kind = n.kind AND a.asset_id = n.asset_id)
 ORDER BY 1, 2, 3
    ON CONFLICT DO NOTHING
