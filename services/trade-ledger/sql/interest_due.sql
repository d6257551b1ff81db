-- Accounts with a day that is to be accrued: the next of each, with its closing balance. $1 only accounts above, $2 the last day that
-- has ended (since 1970-01-01), $3 at most. Who has a month to be booked first waits for that.
SELECT a.id, d.next_day - date '1970-01-01', p.rate_ppb, p.day_count::int4, coalesce(i.accrued_minor, 0), coalesce(i.remainder, 0),
       coalesce(e.available_after + e.held_after, 0)
  FROM accounts a
  JOIN (SELECT asset_id, min(first_day) AS first_day FROM interest_products GROUP BY asset_id) AS f ON f.asset_id = a.asset_id
  LEFT JOIN interest_accounts i ON i.account_id = a.id
 CROSS JOIN LATERAL (SELECT coalesce(i.accrued_until + 1, f.first_day) AS next_day) AS d
 CROSS JOIN LATERAL (SELECT r.rate_ppb, r.day_count FROM interest_products r
                      WHERE r.asset_id = a.asset_id AND r.first_day <= d.next_day
                      ORDER BY r.first_day DESC LIMIT 1) AS p
  LEFT JOIN entries e ON e.account_id = a.id
        AND e.id = entry_as_of(a.id, (d.next_day + 1)::timestamp AT TIME ZONE 'UTC' - interval '1 microsecond')
 WHERE a.id > $1::int8 AND a.kind = 1 AND d.next_day <= date '1970-01-01' + $2::int4
   AND NOT (coalesce(i.accrued_minor, 0) > 0 AND extract(day FROM i.accrued_until + 1) = 1)
 ORDER BY a.id
 LIMIT $3::int8
