-- Published rows (visible in snapshot $4) after id $1, from id $2 or, if that is 0, from time $3 (microseconds) on, by id: at most $5,
-- and no more once the payloads of those before come to $6 bytes. Columns as of page.sql.
SELECT {order}::bigint, {topic}, {key}, {type}, {payload}, {trace}, {headers}, {time}, {id}
  FROM (SELECT *, sum({size}) OVER (ORDER BY {order}) - {size} AS outbox_relay_bytes_before
          FROM (SELECT *
                  FROM {table}
                 WHERE {order} > $1::bigint AND {order} >= $2::bigint
                   AND ($2::bigint > 0 OR {time} >= timestamptz 'epoch' + $3::bigint * interval '1 microsecond')
                   AND pg_visible_in_snapshot({xid}, $4::pg_snapshot)
                   AND NOT EXISTS (SELECT FROM {parked} p WHERE p.id = {order})
                 ORDER BY {order}
                 LIMIT $5::bigint) AS page) AS measured
 WHERE outbox_relay_bytes_before < $6::bigint
 ORDER BY {order}
