-- A user's accounts, each with his account in another asset. $1 user, $2 assets, $3 the asset that each is valued in.
SELECT a.id, a.asset_id, coalesce(q.id, 0)
  FROM unnest($2::int4[], $3::int4[]) AS n(asset_id, quote_id)
  JOIN accounts a ON a.owner_id = $1::int8 AND a.kind = 1 AND a.asset_id = n.asset_id
  LEFT JOIN accounts q ON q.owner_id = $1 AND q.kind = 1 AND q.asset_id = n.quote_id
 ORDER BY a.asset_id
