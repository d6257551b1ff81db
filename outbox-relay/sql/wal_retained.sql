-- Bytes of log that slot $1 keeps on the server's disk.
SELECT coalesce(pg_current_wal_insert_lsn() - restart_lsn, 0)::bigint FROM pg_replication_slots WHERE slot_name = $1
