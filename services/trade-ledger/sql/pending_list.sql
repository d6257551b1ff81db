-- Two-phase transfers of user $1, to or from him, newest first: ids below $2, of status $3 (0: any), at most $4; and who has the accounts.
SELECT p.id, p.from_account_id, p.to_account_id, p.asset_id, p.amount, p.posted, p.status, p.created_by, p.note,
       (extract(epoch FROM p.expires_at) * 1000000)::int8, (extract(epoch FROM p.created_at) * 1000000)::int8, f.owner_id, t.owner_id
  FROM (SELECT DISTINCT x.id
          FROM accounts a
         CROSS JOIN LATERAL ((SELECT o.id FROM pending_transfers o
                               WHERE o.from_account_id = a.id AND o.id < $2::int8 AND ($3::int4 = 0 OR o.status = $3)
                               ORDER BY o.id DESC LIMIT $4::int8)
                             UNION ALL
                             (SELECT i.id FROM pending_transfers i
                               WHERE i.to_account_id = a.id AND i.id < $2 AND ($3 = 0 OR i.status = $3)
                               ORDER BY i.id DESC LIMIT $4)) AS x
         WHERE a.owner_id = $1::int8 AND a.kind = 1) AS n
  JOIN pending_transfers p ON p.id = n.id
  JOIN accounts f ON f.id = p.from_account_id
  JOIN accounts t ON t.id = p.to_account_id
 ORDER BY p.id DESC
 LIMIT $4
