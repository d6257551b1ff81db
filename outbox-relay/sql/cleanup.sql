-- Deletes some rows that were published: visible in snapshot $3, begun by transactions from $1 up to $2. At most $4.
DELETE FROM outbox
 WHERE ctid = ANY (ARRAY(SELECT ctid FROM outbox
                          WHERE xid >= $1::xid8 AND xid < $2::xid8 AND pg_visible_in_snapshot(xid, $3::pg_snapshot)
                          LIMIT $4::bigint))
