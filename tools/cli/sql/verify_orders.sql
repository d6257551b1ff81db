-- $1 last id seen, $2 how many: all orders by id
SELECT id, status, filled_lots, held_minor FROM orders WHERE id > $1 ORDER BY id LIMIT $2
