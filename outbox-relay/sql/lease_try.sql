-- Takes the source's session lock, if it is free. $1, $2 the lock.
SELECT pg_try_advisory_lock($1::integer, $2::integer)
