-- An order's executions, newest first. $1 user, $2 only ids below, $3 order, $4 at most.
SELECT t.id, t.market_id, t.trade_id, t.price_ticks, t.quantity_lots, t.taker_side, t.order_id, t.is_maker, t.fee,
       (extract(epoch FROM t.executed_at) * 1000000)::int8
  FROM ((SELECT m.*, m.maker_order_id AS order_id, true AS is_maker, m.maker_fee AS fee
           FROM trades m
          WHERE m.maker_order_id = $3::int8 AND m.maker_user_id = $1::int8 AND m.id < $2::int8
          ORDER BY m.id DESC LIMIT $4::int8)
        UNION ALL
        (SELECT k.*, k.taker_order_id, false, k.taker_fee
           FROM trades k
          WHERE k.taker_order_id = $3 AND k.taker_user_id = $1 AND k.id < $2
          ORDER BY k.id DESC LIMIT $4)) AS t
 ORDER BY t.id DESC, t.is_maker
 LIMIT $4
