-- $1 ids, $2 users, $3 assets, $4 amounts, $5 references, $6 time in microseconds.
INSERT INTO topups (id, user_id, asset_id, amount, reference, created_at)
SELECT n.id, n.user_id, n.asset_id, n.amount, n.reference, timestamptz 'epoch' + $6::int8 * interval '1 microsecond'
  FROM unnest($1::int8[], $2::int8[], $3::int4[], $4::int8[], $5::text[]) AS n(id, user_id, asset_id, amount, reference)
