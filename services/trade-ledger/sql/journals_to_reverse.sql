-- Journals with their entries, and whether they have been reversed. $1 ids. Runs after the locks on their accounts: of two who reverse the
-- same one the second sees the first.
SELECT j.id, j.kind, EXISTS (SELECT FROM journals r WHERE r.reference = 'journal:' || j.id AND r.kind = 10),
       e.account_id, e.available_delta, e.held_delta
  FROM journals j
  JOIN entries e ON e.journal_id = j.id
 WHERE j.id = ANY ($1::int8[])
 ORDER BY j.id, e.id
