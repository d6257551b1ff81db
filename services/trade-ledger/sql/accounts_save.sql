-- Final balances of locked accounts. $1 ids, $2 available, $3 held.
UPDATE accounts AS a
   SET available = n.available, held = n.held
  FROM unnest($1::int8[], $2::int8[], $3::int8[]) AS n(id, available, held)
 WHERE a.id = n.id
