-- A user's entries, newest first. $1 user, $2 only ids below, $3 asset (0: all), $4 at most.
SELECT e.id, e.journal_id, e.account_id, e.asset_id, e.available_delta, e.held_delta, e.available_after, e.held_after,
       j.kind, j.reference, (extract(epoch FROM j.posted_at) * 1000000)::int8
  FROM accounts a
 CROSS JOIN LATERAL (SELECT * FROM entries x WHERE x.account_id = a.id AND x.id < $2::int8 ORDER BY x.id DESC LIMIT $4::int8) AS e
  JOIN journals j ON j.id = e.journal_id
 WHERE a.owner_id = $1::int8 AND a.kind = 1 AND ($3::int4 = 0 OR a.asset_id = $3)
 ORDER BY e.id DESC
 LIMIT $4
