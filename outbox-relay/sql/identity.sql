-- Which Postgres this is: system identifier, timeline, present snapshot.
SELECT (SELECT system_identifier FROM pg_control_system()),
       substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
       pg_current_snapshot()::text
