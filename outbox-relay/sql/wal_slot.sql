-- Slot $1, and how far the log is. All of the slot is NULL if there is none.
SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint, s.plugin::text, s.database::text, s.active_pid, s.wal_status,
       (s.restart_lsn - '0/0')::bigint, (s.confirmed_flush_lsn - '0/0')::bigint, current_database()::text
  FROM (VALUES ($1::text)) AS wanted(name)
  LEFT JOIN pg_replication_slots s ON s.slot_name = wanted.name
