-- Clears away what has expired of one user. $1 user id.
DELETE FROM refresh_tokens WHERE user_id = $1::int8 AND expires_at <= now()
