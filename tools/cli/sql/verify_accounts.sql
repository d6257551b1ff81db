-- $1 last id seen, $2 how many: all accounts by id
SELECT id, owner_id, kind, asset_id, available, held FROM accounts WHERE id > $1 ORDER BY id LIMIT $2
