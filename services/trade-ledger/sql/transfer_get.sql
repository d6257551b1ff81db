-- One transfer by its id $1: of two phases, or booked at once (then it has no end and was posted in full); and who has the accounts.
SELECT p.id, p.from_account_id, p.to_account_id, p.asset_id, p.amount, p.posted, p.status, p.created_by, p.note,
       (extract(epoch FROM p.expires_at) * 1000000)::int8, (extract(epoch FROM p.created_at) * 1000000)::int8, f.owner_id, t.owner_id
  FROM pending_transfers p
  JOIN accounts f ON f.id = p.from_account_id
  JOIN accounts t ON t.id = p.to_account_id
 WHERE p.id = $1::int8
UNION ALL
SELECT j.id, o.account_id, i.account_id, i.asset_id, i.available_delta, i.available_delta, 2, f.owner_id, j.note,
       0, (extract(epoch FROM j.posted_at) * 1000000)::int8, f.owner_id, t.owner_id
  FROM journals j
  JOIN entries o ON o.journal_id = j.id AND o.available_delta < 0
  JOIN entries i ON i.journal_id = j.id AND i.available_delta > 0
  JOIN accounts f ON f.id = o.account_id
  JOIN accounts t ON t.id = i.account_id
 WHERE j.id = $1 AND j.kind = 5
