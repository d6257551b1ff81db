-- A token that was used; it stays until it expires, so that a second use is noticed. $1 digest.
UPDATE refresh_tokens SET spent_at = now() WHERE digest = $1::bytea
