-- Deletes some rows that were published: visible in snapshot $3, begun by transactions from $1 up to $2. At most $4.
-- Asked twice, because in a partitioned table a ctid names a row in each partition.
DELETE FROM {table}
 WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table}
                          WHERE {xid} >= $1::xid8 AND {xid} < $2::xid8 AND pg_visible_in_snapshot({xid}, $3::pg_snapshot)
                          LIMIT $4::bigint))
   AND pg_visible_in_snapshot({xid}, $3::pg_snapshot)
