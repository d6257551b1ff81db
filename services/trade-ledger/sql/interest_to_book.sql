-- Accounts with a whole month accrued and not booked. $1 only accounts above, $2 at most.
SELECT a.id, a.owner_id, a.asset_id::int4, i.accrued_minor, to_char(i.accrued_until, 'YYYY-MM')
  FROM interest_accounts i
  JOIN accounts a ON a.id = i.account_id
 WHERE i.account_id > $1::int8 AND i.accrued_minor > 0 AND extract(day FROM i.accrued_until + 1) = 1
 ORDER BY a.id
 LIMIT $2::int8
   FOR UPDATE OF i
