-- Makes slot $1. What commits from here on is kept for it.
SELECT (lsn - '0/0')::bigint FROM pg_create_logical_replication_slot($1::text, 'pgoutput')
