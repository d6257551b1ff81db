-- $1: market ids.
SELECT market_id, last_posting_seq, last_seq, last_trade_id, last_price_ticks, dead_posting_seq
  FROM market_progress
 WHERE market_id = ANY ($1::int4[])
 ORDER BY market_id
   FOR UPDATE
