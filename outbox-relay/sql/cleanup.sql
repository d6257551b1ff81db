-- Deletes some rows that were published: visible in snapshot $3, begun by transactions from $1 up to $2, oldest first. At most $4.
-- Returns how many, and the last one's transaction. Asked twice, because in a partitioned table a ctid names a row in each partition.
-- Does not wait for the disk: what a crash brings back is still published, and deleted again.
WITH gone AS (
    DELETE FROM {table}
     WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table}
                              WHERE {xid} >= $1::xid8 AND {xid} < $2::xid8 AND pg_visible_in_snapshot({xid}, $3::pg_snapshot)
                              ORDER BY {xid} LIMIT $4::bigint))
       AND pg_visible_in_snapshot({xid}, $3::pg_snapshot)
    RETURNING {xid} AS xid)
SELECT count(*), coalesce(max(xid::text::bigint), 0), set_config('synchronous_commit', 'off', true) FROM gone
