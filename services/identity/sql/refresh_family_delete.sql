-- Ends a session: no token of this family is good any more. $1 digest of any of its tokens.
DELETE FROM refresh_tokens
 WHERE family = (SELECT family FROM refresh_tokens WHERE digest = $1::bytea)
