-- What the price band of market $1 is measured from: $2, a decimal; refused when it is no whole number of ticks.
SELECT market_reference(symbol, CASE WHEN $2::text::numeric % tick_size::numeric = 0 THEN ($2::text::numeric / tick_size::numeric)::int8 END)::text
  FROM markets
 WHERE id = market_id_of($1::text)
