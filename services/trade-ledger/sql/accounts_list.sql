-- Accounts by any mixture of owner $1 (-1: anyone's), kind $2, asset $3, status $4 (0: any); ids above $5, at most $6. An owner's are few and
-- have an index; all others are read by id until there are enough.
SELECT x.id, x.owner_id, x.kind, x.asset_id, x.available, x.held, x.status, x.overdraft_minor
  FROM (SELECT * FROM accounts o WHERE o.owner_id = $1::int8
        UNION ALL
        SELECT * FROM accounts e WHERE $1 = -1 AND e.id > $5::int8) AS x
 WHERE x.id > $5 AND ($2::int4 = 0 OR x.kind = $2) AND ($3::int4 = 0 OR x.asset_id = $3) AND ($4::int4 = 0 OR x.status = $4)
 ORDER BY x.id
 LIMIT $6::int8
