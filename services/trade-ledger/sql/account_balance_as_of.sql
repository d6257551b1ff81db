-- One account as it was. $1 account id, or 0: the account of user $2 in asset $3; $4 microseconds.
SELECT a.id, a.owner_id, a.kind, a.asset_id, coalesce(e.available_after, 0), coalesce(e.held_after, 0), 0::int8, e.id
  FROM accounts a
  LEFT JOIN entries e ON e.account_id = a.id AND e.id = entry_as_of(a.id, at_microseconds($4::int8))
 WHERE (a.id = $1::int8 AND $1 > 0) OR (a.owner_id = $2::int8 AND a.kind = 1 AND a.asset_id = $3::int4 AND $1 = 0)
