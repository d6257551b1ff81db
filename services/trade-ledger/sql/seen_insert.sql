-- Remembers requests. $1 sources, $2 ids, $3 digests, $4 statuses, $5 replies, $6 how many. A request that someone else has just
-- handled ends the transaction as a serialisation failure.
WITH stored AS (
    INSERT INTO inbox (source, id, digest, status, reply)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::int4[], $5::bytea[])
        ON CONFLICT DO NOTHING
    RETURNING 1)
SELECT retry_unless(count(*) = $6::int8) FROM stored
