-- New terms of locked accounts, with their final balances: what may be there and what is there change together. $1 ids, $2 available,
-- $3 held, $4 statuses, $5 overdrafts.
UPDATE accounts AS a
   SET available = n.available, held = n.held, status = n.status, overdraft_minor = n.overdraft_minor
  FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int4[], $5::int8[]) AS n(id, available, held, status, overdraft_minor)
 WHERE a.id = n.id
