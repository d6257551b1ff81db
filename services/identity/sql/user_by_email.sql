-- The user who logs in. $1 email (lower case).
SELECT id, scope, password_hash FROM users WHERE email = $1::text
