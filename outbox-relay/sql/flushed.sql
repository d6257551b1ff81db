-- How far the log is on disk.
SELECT pg_current_wal_flush_lsn()
