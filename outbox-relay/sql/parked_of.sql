-- Which of the rows $1 are parked.
SELECT id FROM outbox_parked WHERE id = ANY ($1::bigint[]) ORDER BY id
