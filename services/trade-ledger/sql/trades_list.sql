-- A user's executions, newest first. $1 user, $2 only ids below, $3 market (0: all), $4 at most. Someone who traded with himself
-- sees both sides.
SELECT t.id, t.market_id, t.trade_id, t.price_ticks, t.quantity_lots, t.taker_side, t.order_id, t.is_maker, t.fee,
       (extract(epoch FROM t.executed_at) * 1000000)::int8
  FROM ((SELECT m.*, m.maker_order_id AS order_id, true AS is_maker, m.maker_fee AS fee
           FROM trades m
          WHERE m.maker_user_id = $1::int8 AND m.id < $2::int8 AND ($3::int4 = 0 OR m.market_id = $3)
          ORDER BY m.id DESC LIMIT $4::int8)
        UNION ALL
        (SELECT k.*, k.taker_order_id, false, k.taker_fee
           FROM trades k
          WHERE k.taker_user_id = $1 AND k.id < $2 AND ($3 = 0 OR k.market_id = $3)
          ORDER BY k.id DESC LIMIT $4)) AS t
 ORDER BY t.id DESC, t.is_maker
 LIMIT $4
