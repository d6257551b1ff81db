-- $1 last id seen, $2 how many: all top-ups by id
SELECT id FROM topups WHERE id > $1 ORDER BY id LIMIT $2
