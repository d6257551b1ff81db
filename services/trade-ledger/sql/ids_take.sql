-- Fresh ids, so many of each: $1 journals, $2 orders, $3 topups, $4 trades, $5 amendments, $6 adjustments: each kind is a
-- column that ends in NULLs. Then, in the first row, the server's clock in microseconds: read once all locks are held, so that along an
-- account time never goes back. The inner SELECT keeps the plan: without it Postgres would make one for each number.
SELECT CASE WHEN s.i <= $1::int8 THEN nextval('journals_id_seq') END,
       CASE WHEN s.i <= $2::int8 THEN nextval('orders_id_seq') END,
       CASE WHEN s.i <= $3::int8 THEN nextval('topups_id_seq') END,
       CASE WHEN s.i <= $4::int8 THEN nextval('trades_id_seq') END,
       CASE WHEN s.i <= $5::int8 THEN nextval('amends_id_seq') END,
       CASE WHEN s.i <= $6::int8 THEN nextval('adjustments_id_seq') END,
       CASE WHEN s.i = 1 THEN (extract(epoch FROM clock_timestamp()) * 1000000)::int8 END
  FROM (SELECT generate_series(1, (SELECT greatest(1, $1, $2, $3, $4, $5, $6)))) AS s(i)
