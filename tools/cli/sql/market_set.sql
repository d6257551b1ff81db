-- Changes market $1; NULL leaves as it is. Prices, quantities and notionals are decimals. $2 highest price, $3 largest quantity, $4 maker's
-- and $5 taker's fee, $6 price band, $7 market orders' band (ppm), $8 lowest price, $9 least quantity, $10 least and $11 largest notional.
-- Answers with the symbol; no row: there is no such market.
UPDATE markets m
   SET max_price_ticks = coalesce(floor($2::text::numeric / m.tick_size::numeric)::int8, max_price_ticks),
       max_quantity_lots = coalesce(floor($3::text::numeric / m.lot_size::numeric)::int8, max_quantity_lots),
       maker_fee_ppm = coalesce($4::text::int4, maker_fee_ppm),
       taker_fee_ppm = coalesce($5::text::int4, taker_fee_ppm),
       price_band_ppm = coalesce($6::text::int4, price_band_ppm),
       market_band_ppm = coalesce($7::text::int4, market_band_ppm),
       min_price_ticks = coalesce(ceil($8::text::numeric / m.tick_size::numeric)::int8, min_price_ticks),
       min_quantity_lots = coalesce(greatest(ceil($9::text::numeric / m.lot_size::numeric)::int8, 1), min_quantity_lots),
       min_notional_minor = coalesce(($10::text::numeric * 10::numeric ^ q.scale)::int8, min_notional_minor),
       max_notional_minor = coalesce(($11::text::numeric * 10::numeric ^ q.scale)::int8, max_notional_minor)
  FROM assets q
 WHERE m.symbol = $1::text AND q.id = m.quote_asset_id
RETURNING m.symbol
