-- Fresh ids, so many of each: $1 journals, $2 entries, $3 orders, $4 topups, $5 trades, $6 amendments; in that order.
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
