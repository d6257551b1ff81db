-- All markets, in the order of their ids.
SELECT id, symbol, base_asset_id, quote_asset_id, tick_size, lot_size, lot_minor, notional_unit_minor, min_quantity_lots,
       max_quantity_lots, max_price_ticks, maker_fee_ppm, taker_fee_ppm, fee_ceiling_ppm, market_band_ppm,
       reference_price_ticks, status, version, published_version, min_price_ticks, price_step_ticks, quantity_step_lots,
       min_notional_minor, max_notional_minor, price_band_ppm
  FROM markets
 ORDER BY id
