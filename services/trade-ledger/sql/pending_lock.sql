-- Locks and reads two-phase transfers. $1 ids.
SELECT p.id, p.from_account_id, p.to_account_id, p.asset_id, p.amount, p.posted, p.status, p.created_by, p.note,
       (extract(epoch FROM p.expires_at) * 1000000)::int8, (extract(epoch FROM p.created_at) * 1000000)::int8
  FROM pending_transfers p
 WHERE p.id = ANY ($1::int8[])
 ORDER BY p.id
   FOR UPDATE
