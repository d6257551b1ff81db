-- Which of the rows $1 are parked.
SELECT id FROM {parked} WHERE id = ANY ($1::bigint[])
