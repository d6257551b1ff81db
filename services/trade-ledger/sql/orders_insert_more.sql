-- New orders with all that an order can have; 0 is none. $1 ids, $2 users, $3 markets, $4 sides, $5 types, $6 times in force,
-- $7 post_only, $8 prices, $9 quantities, $10 holds, $11 client_order_ids, $12 maker and $13 taker fees, $14 time in microseconds,
-- $15 how many; then $16 stop prices, $17 quote amounts, $18 display lots, $19 expiries in microseconds, $20 post-only modes,
-- $21 self-trade preventions, $22 quote sets. A client_order_id that someone else has
-- just claimed ends the transaction as a serialisation failure.
WITH stored AS (
    INSERT INTO orders (id, user_id, market_id, side, type, time_in_force, post_only, price_ticks, quantity_lots, held_minor,
                        status, client_order_id, maker_fee_ppm, taker_fee_ppm, created_at, updated_at, stop_price_ticks,
                        quote_minor, display_lots, expires_at, post_only_mode, self_trade_prevention, quote_set)
    SELECT n.id, n.user_id, n.market_id, n.side, n.type, n.time_in_force, n.post_only <> 0, n.price_ticks, n.quantity_lots,
           n.held_minor, 1, n.client_order_id, n.maker_fee_ppm, n.taker_fee_ppm, t.now, t.now, nullif(n.stop_price_ticks, 0),
           nullif(n.quote_minor, 0), nullif(n.display_lots, 0),
           timestamptz 'epoch' + nullif(n.expires_at_us, 0) * interval '1 microsecond', nullif(n.post_only_mode, 0),
           nullif(n.self_trade_prevention, 0), nullif(n.quote_set, 0)
      FROM unnest($1::int8[], $2::int8[], $3::int4[], $4::int4[], $5::int4[], $6::int4[], $7::int4[], $8::int8[], $9::int8[],
                  $10::int8[], $11::text[], $12::int4[], $13::int4[], $16::int8[], $17::int8[], $18::int8[], $19::int8[],
                  $20::int4[], $21::int4[], $22::int4[])
           AS n(id, user_id, market_id, side, type, time_in_force, post_only, price_ticks, quantity_lots, held_minor,
                client_order_id, maker_fee_ppm, taker_fee_ppm, stop_price_ticks, quote_minor, display_lots, expires_at_us,
                post_only_mode, self_trade_prevention, quote_set),
           (SELECT timestamptz 'epoch' + $14::int8 * interval '1 microsecond') AS t(now)
        ON CONFLICT (user_id, client_order_id) WHERE client_order_id IS NOT NULL DO NOTHING
    RETURNING 1)
SELECT retry_unless(count(*) = $15::int8) FROM stored
