-- $1 markets, $2 last_posting_seq, $3 last_seq, $4 last_trade_id, $5 last_price_ticks, $6 dead_posting_seq.
INSERT INTO market_progress (market_id, last_posting_seq, last_seq, last_trade_id, last_price_ticks, dead_posting_seq)
SELECT * FROM unnest($1::int4[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[])
    ON CONFLICT (market_id) DO UPDATE
   SET last_posting_seq = excluded.last_posting_seq, last_seq = excluded.last_seq, last_trade_id = excluded.last_trade_id,
       last_price_ticks = excluded.last_price_ticks, dead_posting_seq = excluded.dead_posting_seq
