-- Locks adjustments and reads them, a row for each leg, with the journal that each undoes: its kind, and whether that has happened. Runs after
-- the locks on their accounts: of two who undo the same journal the second sees the first. $1 ids.
WITH locked AS MATERIALIZED (SELECT * FROM adjustments WHERE id = ANY ($1::int8[]) ORDER BY id FOR UPDATE)
SELECT a.id, a.proposed_by, a.status, a.note, coalesce((extract(epoch FROM a.effective_at) * 1000000)::int8, 0), l.account_id, l.amount,
       coalesce(a.reverses, 0), coalesce(j.kind, 0), EXISTS (SELECT FROM journals r WHERE r.reference = 'journal:' || a.reverses AND r.kind = 10)
  FROM locked a
 CROSS JOIN LATERAL unnest(a.account_ids, a.amounts) WITH ORDINALITY AS l(account_id, amount, n)
  LEFT JOIN journals j ON j.id = a.reverses
 ORDER BY a.id, l.n
