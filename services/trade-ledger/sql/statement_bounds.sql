-- An account, and its last entries before a period begins and before it ends. $1 account id, or 0: the account of user $2 in asset
-- $3; $4 from, $5 to, microseconds.
SELECT a.id, a.owner_id, a.kind, a.asset_id, coalesce(o.id, 0), coalesce(o.available_after, 0), coalesce(o.held_after, 0),
       coalesce(c.id, 0), coalesce(c.available_after, 0), coalesce(c.held_after, 0)
  FROM accounts a
  LEFT JOIN entries o ON o.account_id = a.id AND o.id = entry_as_of(a.id, at_microseconds($4::int8 - 1))
  LEFT JOIN entries c ON c.account_id = a.id AND c.id = entry_as_of(a.id, at_microseconds($5::int8 - 1))
 WHERE (a.id = $1::int8 AND $1 > 0) OR (a.owner_id = $2::int8 AND a.kind = 1 AND a.asset_id = $3::int4 AND $1 = 0)
