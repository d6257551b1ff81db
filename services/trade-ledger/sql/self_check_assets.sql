-- Assets whose balances do not sum to zero.
SELECT asset_id::int8, format('%s', sum(available::numeric + held))
  FROM accounts
 GROUP BY asset_id
HAVING sum(available::numeric + held) <> 0
