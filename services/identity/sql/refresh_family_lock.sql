-- One at a time works on the family of a token, until the end of the transaction: the revocation of a family must see the token
-- that a rotation is about to add. A statement of its own, so that the next one sees what the previous holder did. $1 digest.
SELECT pg_advisory_xact_lock(family) FROM refresh_tokens WHERE digest = $1::bytea
