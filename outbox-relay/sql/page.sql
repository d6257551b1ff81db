-- Rows after id $1 that snapshot $2 (now) sees and $3 (before) does not, by id: at most $4, and no more once the payloads of those
-- before come to $5 bytes. Payloads of rows that are cut off are not fetched from TOAST.
SELECT id, topic, key, type, payload, traceparent, headers, created_at
  FROM (SELECT *, sum(octet_length(payload)) OVER (ORDER BY id) - octet_length(payload) AS bytes_before
          FROM (SELECT *
                  FROM outbox
                 WHERE id > $1::bigint
                   AND pg_visible_in_snapshot(xid, $2::pg_snapshot)
                   AND NOT pg_visible_in_snapshot(xid, $3::pg_snapshot)
                 ORDER BY id
                 LIMIT $4::bigint) AS page) AS measured
 WHERE bytes_before < $5::bigint
 ORDER BY id
