-- A user's balances as they were, by asset. $1 user, $2 microseconds.
SELECT a.asset_id, coalesce(e.available_after, 0), coalesce(e.held_after, 0), a.id
  FROM accounts a
  LEFT JOIN entries e ON e.account_id = a.id AND e.id = entry_as_of(a.id, at_microseconds($2::int8))
 WHERE a.owner_id = $1::int8 AND a.kind = 1
 ORDER BY a.asset_id
