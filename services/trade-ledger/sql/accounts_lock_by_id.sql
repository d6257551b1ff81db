-- As accounts_lock, and besides accounts by their ids. $1 owners, $2 kinds, $3 assets; $4 ids.
SELECT a.id, a.owner_id, a.kind, a.asset_id, a.available, a.held, a.status, a.overdraft_minor
  FROM accounts a
 WHERE a.id IN (
        SELECT k.id
          FROM accounts k
         WHERE (k.owner_id, k.kind, k.asset_id) IN (SELECT unnest($1::int8[]), unnest($2::int4[]), unnest($3::int4[]))
        UNION
        SELECT unnest($4::int8[]))
 ORDER BY a.id
   FOR UPDATE OF a
