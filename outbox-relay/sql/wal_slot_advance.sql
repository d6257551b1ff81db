-- Lets go of the log before $2 (bytes from its beginning) that slot $1 keeps.
SELECT (end_lsn - '0/0')::bigint FROM pg_replication_slot_advance($1::text, '0/0'::pg_lsn + $2::bigint)
