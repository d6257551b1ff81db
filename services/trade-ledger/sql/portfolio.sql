-- A user's balances, by asset. $1 user.
SELECT asset_id, available, held, id FROM accounts WHERE owner_id = $1::int8 AND kind = 1 ORDER BY asset_id
