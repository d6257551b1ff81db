-- $1 ids, $2 markets, $3 trade ids, $4 prices, $5 quantities, $6 taker sides, $7 maker orders, $8 taker orders, $9 maker users,
-- $10 taker users, $11 maker fees, $12 taker fees, $13 times in microseconds.
INSERT INTO trades (id, market_id, trade_id, price_ticks, quantity_lots, taker_side, maker_order_id, taker_order_id,
                    maker_user_id, taker_user_id, maker_fee, taker_fee, executed_at)
SELECT n.id, n.market_id, n.trade_id, n.price_ticks, n.quantity_lots, n.taker_side, n.maker_order_id, n.taker_order_id,
       n.maker_user_id, n.taker_user_id, n.maker_fee, n.taker_fee,
       timestamptz 'epoch' + n.executed_at_us * interval '1 microsecond'
  FROM unnest($1::int8[], $2::int4[], $3::int8[], $4::int8[], $5::int8[], $6::int4[], $7::int8[], $8::int8[], $9::int8[],
              $10::int8[], $11::int8[], $12::int8[], $13::int8[])
       AS n(id, market_id, trade_id, price_ticks, quantity_lots, taker_side, maker_order_id, taker_order_id, maker_user_id,
            taker_user_id, maker_fee, taker_fee, executed_at_us)
