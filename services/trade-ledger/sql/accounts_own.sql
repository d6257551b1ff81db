-- A user's accounts, by asset. $1 user.
SELECT a.id, a.owner_id, a.kind, a.asset_id, a.available, a.held, a.status, a.overdraft_minor
  FROM accounts a
 WHERE a.owner_id = $1::int8 AND a.kind = 1
 ORDER BY a.asset_id
