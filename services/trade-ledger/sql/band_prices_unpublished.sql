-- Locks and names the reference prices that the engine has not been told of, of markets it knows.
SELECT id, band_price_ticks FROM markets WHERE NOT band_price_published AND published_version > 0 ORDER BY id FOR NO KEY UPDATE
