-- Fresh ids, so many of each: $1 journals, $2 entries, $3 orders, $4 topups, $5 trades, $6 amendments, $7 adjustments; in that
-- order. Last the server's clock in microseconds: read once all locks are held, so that along an account time never goes back.
SELECT nextval('journals_id_seq') FROM generate_series(1, $1::int8)
UNION ALL
SELECT nextval('entries_id_seq') FROM generate_series(1, $2::int8)
UNION ALL
SELECT nextval('orders_id_seq') FROM generate_series(1, $3::int8)
UNION ALL
SELECT nextval('topups_id_seq') FROM generate_series(1, $4::int8)
UNION ALL
SELECT nextval('trades_id_seq') FROM generate_series(1, $5::int8)
UNION ALL
SELECT nextval('amends_id_seq') FROM generate_series(1, $6::int8)
UNION ALL
SELECT nextval('adjustments_id_seq') FROM generate_series(1, $7::int8)
UNION ALL
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8
