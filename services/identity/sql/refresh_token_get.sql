-- A refresh token and its user. $1 digest.
SELECT t.user_id, t.family, t.spent_at IS NOT NULL, t.expires_at <= now(), u.scope
  FROM refresh_tokens t JOIN users u ON u.id = t.user_id
 WHERE t.digest = $1::bytea
