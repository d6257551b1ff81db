-- $1 last id seen, $2 how many: all orders by id
SELECT id, status, filled_lots, held_minor, coalesce(amend_id, 0), coalesce(amend_hold_minor, 0), price_ticks, quantity_lots
  FROM orders WHERE id > $1 ORDER BY id LIMIT $2
