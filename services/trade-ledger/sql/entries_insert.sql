-- $1 ids, $2 journals, $3 accounts, $4 assets, $5 and $6 deltas, $7 and $8 balances after.
INSERT INTO entries (id, journal_id, account_id, asset_id, available_delta, held_delta, available_after, held_after)
SELECT unnest($1::int8[]), unnest($2::int8[]), unnest($3::int8[]), unnest($4::int4[]), unnest($5::int8[]), unnest($6::int8[]),
       unnest($7::int8[]), unnest($8::int8[])
