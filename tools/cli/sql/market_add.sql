-- A market of base asset $1 and quote asset $2 with tick $3 and lot $4 (decimals). NULL gives a default: $5 highest price, $6 largest
-- quantity, $7 maker's and $8 taker's fee, $9 price band, $10 market orders' band (ppm), $11 status. No row: the assets are not there, or
-- tick × lot is no whole number of the quote's minor units, or the largest notional does not fit. Answers with symbol and id.
INSERT INTO markets (id, symbol, base_asset_id, quote_asset_id, tick_size, lot_size, lot_minor, notional_unit_minor, max_quantity_lots,
                     max_price_ticks, maker_fee_ppm, taker_fee_ppm, price_band_ppm, market_band_ppm, status)
SELECT (SELECT coalesce(max(id), 0) + 1 FROM markets), b.code || '-' || q.code, b.id, q.id, trim_scale(tick)::text, trim_scale(lot)::text,
       lot_minor::int8, unit::int8, max_lots::int8, max_ticks::int8, coalesce($7::text::int4, 1000), coalesce($8::text::int4, 2000),
       coalesce($9::text::int4, 0), coalesce($10::text::int4, 50000),
       array_position(ARRAY['open', 'halted', 'cancel_only', 'auction'], coalesce($11::text, 'open'))
  FROM assets b
  JOIN assets q ON b.code = $1::text AND q.code = $2::text
 CROSS JOIN LATERAL (SELECT $3::text::numeric AS tick, $4::text::numeric AS lot) AS size
 CROSS JOIN LATERAL (SELECT lot * 10::numeric ^ b.scale AS lot_minor, tick * lot * 10::numeric ^ q.scale AS unit) AS minor
 CROSS JOIN LATERAL (SELECT coalesce(floor($5::text::numeric / nullif(tick, 0)), 100000000) AS max_ticks) AS highest
 CROSS JOIN LATERAL (SELECT coalesce(floor($6::text::numeric / nullif(lot, 0)),
                                     least(1000000000, floor(9223372036854775807 / nullif(max_ticks * unit, 0)))) AS max_lots) AS largest
 WHERE lot_minor >= 1 AND lot_minor % 1 = 0 AND unit >= 1 AND unit % 1 = 0 AND max_ticks * max_lots * unit < 9223372036854775808
RETURNING symbol, id::int8
