-- Remembers requests. $1 sources, $2 ids, $3 digests, $4 statuses, $5 replies. A request that someone else has just handled is there
-- already: the unique violation ends the transaction, which is tried again.
INSERT INTO inbox (source, id, digest, status, reply)
SELECT unnest($1::text[]), unnest($2::text[]), unnest($3::bytea[]), unnest($4::int4[]), unnest($5::bytea[])
