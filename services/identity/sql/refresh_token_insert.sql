-- A new refresh token. $1 digest, $2 user id, $3 family, $4 lifetime in seconds.
INSERT INTO refresh_tokens (digest, user_id, family, expires_at)
VALUES ($1::bytea, $2::int8, $3::int8, now() + make_interval(secs => $4::int8))
