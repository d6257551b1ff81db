-- Makes the accounts that do not exist yet. $1 owners, $2 kinds, $3 assets, $4 only if the owner is known. In one order for all, so that
-- two who make the same accounts wait for each other in one direction only.
INSERT INTO accounts (owner_id, kind, asset_id)
SELECT n.owner_id, n.kind, n.asset_id
  FROM (SELECT u.owner_id, u.kind, u.asset_id, bool_and(u.known_only <> 0) AS known_only
          FROM unnest($1::int8[], $2::int4[], $3::int4[], $4::int4[]) AS u(owner_id, kind, asset_id, known_only)
         GROUP BY 1, 2, 3) AS n
 WHERE NOT EXISTS (SELECT FROM accounts a
                    WHERE a.owner_id = n.owner_id AND a.kind = n.kind AND a.asset_id = n.asset_id)
   AND (NOT n.known_only OR EXISTS (SELECT FROM owners o WHERE o.user_id = n.owner_id)
        OR EXISTS (SELECT FROM accounts k WHERE k.owner_id = n.owner_id AND k.kind = n.kind))
 ORDER BY 1, 2, 3
    ON CONFLICT DO NOTHING
