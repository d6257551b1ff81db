-- Marks the locked ones. $1 users, $2 markets
UPDATE kill_switches AS k SET published = true
  FROM unnest($1::int8[], $2::int4[]) AS n(user_id, market_id)
 WHERE k.user_id = n.user_id AND k.market_id = n.market_id
