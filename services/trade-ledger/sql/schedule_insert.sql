-- $1 user, $2 key, $3 recipient, $4 asset, $5 amount, $6 note, $7 every, $8 first time in microseconds. No row: the key was there.
INSERT INTO scheduled_transfers (user_id, key, to_user_id, asset_id, amount, note, every, first_at, next_at)
VALUES ($1::int8, $2::text, $3::int8, $4::int4, $5::int8, $6::text, $7::int4, at_microseconds($8::int8), at_microseconds($8))
    ON CONFLICT (user_id, key) DO NOTHING
RETURNING id
