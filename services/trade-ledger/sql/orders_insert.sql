-- New orders that have nothing rare, nor a client_order_id (those: orders_insert_more): nothing of theirs can be somebody else's already,
-- and an insertion that need not look for that costs less. $1 ids, $2 users, $3 markets, $4 sides, $5 types, $6 times in force,
-- $7 post_only, $8 prices, $9 quantities, $10 holds, $11 maker and $12 taker fees, $13 time in microseconds.
INSERT INTO orders (id, user_id, market_id, side, type, time_in_force, post_only, price_ticks, quantity_lots, held_minor, status,
                    maker_fee_ppm, taker_fee_ppm, created_at, updated_at)
SELECT n.id, n.user_id, n.market_id, n.side, n.type, n.time_in_force, n.post_only <> 0, n.price_ticks, n.quantity_lots,
       n.held_minor, 1, n.maker_fee_ppm, n.taker_fee_ppm, t.now, t.now
  FROM (SELECT unnest($1::int8[]) AS id, unnest($2::int8[]) AS user_id, unnest($3::int4[]) AS market_id, unnest($4::int4[]) AS side,
               unnest($5::int4[]) AS type, unnest($6::int4[]) AS time_in_force, unnest($7::int4[]) AS post_only,
               unnest($8::int8[]) AS price_ticks, unnest($9::int8[]) AS quantity_lots, unnest($10::int8[]) AS held_minor,
               unnest($11::int4[]) AS maker_fee_ppm, unnest($12::int4[]) AS taker_fee_ppm) AS n,
       (SELECT timestamptz 'epoch' + $13::int8 * interval '1 microsecond') AS t(now)
