-- assets whose balances do not sum to zero: none, ever
SELECT a.code, a.code || ' ' || sum(c.available::numeric + c.held)::text FROM accounts c JOIN assets a ON a.id = c.asset_id
GROUP BY a.code HAVING sum(c.available::numeric + c.held) <> 0
