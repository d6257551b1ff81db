-- What a user's accounts earn. $1 user.
SELECT a.asset_id, a.id, p.rate_ppb, p.day_count::int4, coalesce(i.accrued_minor, 0), coalesce(i.accrued_until - date '1970-01-01', -1)
  FROM accounts a
 CROSS JOIN LATERAL (SELECT r.rate_ppb, r.day_count FROM interest_products r
                      WHERE r.asset_id = a.asset_id AND r.first_day <= (now() AT TIME ZONE 'UTC')::date
                      ORDER BY r.first_day DESC LIMIT 1) AS p
  LEFT JOIN interest_accounts i ON i.account_id = a.id
 WHERE a.owner_id = $1::int8 AND a.kind = 1
 ORDER BY a.asset_id
