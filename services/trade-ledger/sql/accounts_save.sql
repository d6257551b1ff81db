-- Final balances of locked accounts. $1 ids, $2 available, $3 held.
UPDATE accounts AS a
   SET available = n.available, held = n.held
  FROM (SELECT unnest($1::int8[]) AS id, unnest($2::int8[]) AS available, unnest($3::int8[]) AS held) AS n
 WHERE a.id = n.id
