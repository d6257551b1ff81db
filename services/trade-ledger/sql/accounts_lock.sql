-- Locks and reads accounts. $1 owners, $2 kinds, $3 assets.
SELECT a.id, a.owner_id, a.kind, a.asset_id, a.available, a.held, a.status, a.overdraft_minor
  FROM accounts a
 WHERE (a.owner_id, a.kind, a.asset_id) IN (SELECT unnest($1::int8[]), unnest($2::int4[]), unnest($3::int4[]))
 ORDER BY a.id
   FOR UPDATE OF a
