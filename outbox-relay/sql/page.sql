-- Rows after id $1 that snapshot $2 (now) sees and $3 (before) does not, by id: at most $4, and no more once the payloads of those
-- before come to $5 bytes. Payloads of rows that are cut off are not fetched from TOAST.
SELECT {order}::bigint, {topic}, {key}, {type}, {payload}, {trace}, {headers}, {time}, {id}
  FROM (SELECT *, sum({size}) OVER (ORDER BY {order}) - {size} AS outbox_relay_bytes_before
          FROM (SELECT *
                  FROM {table}
                 WHERE {order} > $1::bigint
                   AND pg_visible_in_snapshot({xid}, $2::pg_snapshot)
                   AND NOT pg_visible_in_snapshot({xid}, $3::pg_snapshot)
                 ORDER BY {order}
                 LIMIT $4::bigint) AS page) AS measured
 WHERE outbox_relay_bytes_before < $5::bigint
 ORDER BY {order}
