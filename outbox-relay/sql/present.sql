-- The present snapshot, and of what it sees and `before` does not: count, first id, oldest time, bytes of payload as stored.
-- $1 before.xmax, $2 before.xip. What this statement can see is what the snapshot it returns sees. insert_lsn is read after the
-- snapshot is taken: once it is flushed, a crash of Postgres cannot take back what the snapshot calls finished.
SELECT pg_current_snapshot()::text, pg_current_wal_insert_lsn() AS insert_lsn, pg_current_wal_flush_lsn() AS flush_lsn,
       count(*), min({order})::bigint, min({time}), coalesce(sum({size}), 0)::bigint
  FROM {table}
 WHERE {xid} >= $1::xid8 OR {xid} = ANY ($2::xid8[])
