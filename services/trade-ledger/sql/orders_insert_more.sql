-- New orders with all that an order can have; 0 is none. $1 ids, $2 users, $3 markets, $4 sides, $5 types, $6 times in force,
-- $7 post_only, $8 prices, $9 quantities, $10 holds, $11 client_order_ids, $12 maker and $13 taker fees, $14 time in microseconds;
-- then $15 stop prices, $16 quote amounts, $17 display lots, $18 expiries in microseconds, $19 post-only modes,
-- $20 self-trade preventions, $21 quote sets. A client_order_id that someone else has just claimed is there already: the unique
-- violation ends the transaction, which is tried again.
INSERT INTO orders (id, user_id, market_id, side, type, time_in_force, post_only, price_ticks, quantity_lots, held_minor, status,
                    client_order_id, maker_fee_ppm, taker_fee_ppm, created_at, updated_at, stop_price_ticks, quote_minor, display_lots,
                    expires_at, post_only_mode, self_trade_prevention, quote_set)
SELECT n.id, n.user_id, n.market_id, n.side, n.type, n.time_in_force, n.post_only <> 0, n.price_ticks, n.quantity_lots,
       n.held_minor, 1, n.client_order_id, n.maker_fee_ppm, n.taker_fee_ppm, t.now, t.now, nullif(n.stop_price_ticks, 0),
       nullif(n.quote_minor, 0), nullif(n.display_lots, 0),
       timestamptz 'epoch' + nullif(n.expires_at_us, 0) * interval '1 microsecond', nullif(n.post_only_mode, 0),
       nullif(n.self_trade_prevention, 0), nullif(n.quote_set, 0)
  FROM (SELECT unnest($1::int8[]) AS id, unnest($2::int8[]) AS user_id, unnest($3::int4[]) AS market_id, unnest($4::int4[]) AS side,
               unnest($5::int4[]) AS type, unnest($6::int4[]) AS time_in_force, unnest($7::int4[]) AS post_only,
               unnest($8::int8[]) AS price_ticks, unnest($9::int8[]) AS quantity_lots, unnest($10::int8[]) AS held_minor,
               unnest($11::text[]) AS client_order_id, unnest($12::int4[]) AS maker_fee_ppm, unnest($13::int4[]) AS taker_fee_ppm,
               unnest($15::int8[]) AS stop_price_ticks, unnest($16::int8[]) AS quote_minor, unnest($17::int8[]) AS display_lots,
               unnest($18::int8[]) AS expires_at_us, unnest($19::int4[]) AS post_only_mode,
               unnest($20::int4[]) AS self_trade_prevention, unnest($21::int4[]) AS quote_set) AS n,
       (SELECT timestamptz 'epoch' + $14::int8 * interval '1 microsecond') AS t(now)
