-- How many rows are parked, at most $1.
SELECT count(*) FROM (SELECT FROM {parked} LIMIT $1::bigint) AS counted
