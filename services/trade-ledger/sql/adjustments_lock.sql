-- Locks adjustments and reads them, a row for each leg. $1 ids.
WITH locked AS MATERIALIZED (SELECT * FROM adjustments WHERE id = ANY ($1::int8[]) ORDER BY id FOR UPDATE)
SELECT a.id, a.proposed_by, a.status, a.note, coalesce((extract(epoch FROM a.effective_at) * 1000000)::int8, 0), l.account_id, l.amount
  FROM locked a
 CROSS JOIN LATERAL unnest(a.account_ids, a.amounts) WITH ORDINALITY AS l(account_id, amount, n)
 ORDER BY a.id, l.n
