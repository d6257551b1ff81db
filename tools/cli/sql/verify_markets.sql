-- how far each market is booked
SELECT m.symbol, coalesce(p.last_posting_seq, 0) FROM markets m LEFT JOIN market_progress p ON p.market_id = m.id ORDER BY m.id
