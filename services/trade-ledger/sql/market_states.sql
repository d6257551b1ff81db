-- What changes about markets while orders are taken. $1: market ids.
SELECT m.id, m.version, coalesce(p.last_price_ticks, 0), m.band_price_ticks
  FROM markets m
  LEFT JOIN market_progress p ON p.market_id = m.id
 WHERE m.id = ANY ($1::int4[])
