-- Adjustments, newest first, a row for each leg: ids below $1, of status $2 (0: any), at most $3; or the one of id $4 (0: all).
SELECT a.id, a.proposed_by, a.status, a.note, coalesce((extract(epoch FROM a.effective_at) * 1000000)::int8, 0), l.account_id, l.amount,
       coalesce(a.reverses, 0), c.asset_id, coalesce(a.decided_by, 0), a.decision_reason, coalesce(a.journal_id, 0),
       (extract(epoch FROM a.created_at) * 1000000)::int8, coalesce((extract(epoch FROM a.decided_at) * 1000000)::int8, 0)
  FROM (SELECT * FROM adjustments x
         WHERE x.id < $1::int8 AND ($2::int4 = 0 OR x.status = $2) AND ($4::int8 = 0 OR x.id = $4)
         ORDER BY x.id DESC LIMIT $3::int8) AS a
 CROSS JOIN LATERAL unnest(a.account_ids, a.amounts) WITH ORDINALITY AS l(account_id, amount, n)
  JOIN accounts c ON c.id = l.account_id
 ORDER BY a.id DESC, l.n
