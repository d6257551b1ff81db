-- Two-phase transfers. $1 ids, $2 from and $3 to accounts, $4 assets, $5 amounts, $6 by whom, $7 notes, $8 ends in microseconds, $9 time
-- in microseconds.
INSERT INTO pending_transfers (id, from_account_id, to_account_id, asset_id, amount, created_by, note, expires_at, created_at, updated_at)
SELECT n.id, n.from_account_id, n.to_account_id, n.asset_id, n.amount, n.created_by, n.note,
       timestamptz 'epoch' + n.expires_at_us * interval '1 microsecond', t.now, t.now
  FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int4[], $5::int8[], $6::int8[], $7::text[], $8::int8[])
       AS n(id, from_account_id, to_account_id, asset_id, amount, created_by, note, expires_at_us),
       (SELECT timestamptz 'epoch' + $9::int8 * interval '1 microsecond') AS t(now)
