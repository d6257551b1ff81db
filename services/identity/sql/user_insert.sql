-- A new user; no row if the address is taken. $1 email (lower case), $2 password hash.
INSERT INTO users (email, password_hash)
VALUES ($1::text, $2::text)
    ON CONFLICT (email) DO NOTHING
RETURNING id, scope, (extract(epoch FROM created_at) * 1000000)::int8
