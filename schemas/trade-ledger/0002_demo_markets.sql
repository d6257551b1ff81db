-- The first assets and markets. USD is kept at 8 decimals so that tick × lot is one whole minor unit.
INSERT INTO assets (id, code, scale) VALUES (1, 'USD', 8), (2, 'BTC', 8), (3, 'ETH', 8);

INSERT INTO markets (id, symbol, base_asset_id, quote_asset_id, tick_size, lot_size, lot_minor, notional_unit_minor,
                     max_quantity_lots, max_price_ticks, maker_fee_ppm, taker_fee_ppm, market_band_ppm, reference_price_ticks)
VALUES
    (1, 'BTC-USD', 2, 1, '0.01', '0.000001', 100, 1, 1000000000, 100000000, 1000, 2000, 50000, 6500000),
    (2, 'ETH-USD', 3, 1, '0.01', '0.000001', 100, 1, 10000000000, 10000000, 1000, 2000, 50000, 350000);
