-- A user's entries of journals with a reference, newest first. $1 user, $2 only ids below, $3 account (0: all), $4 asset (0: all),
-- booked from $5 on and before $6 microseconds, that move from $7 to $8 minor units, $9 reference, $10 at most. Columns as in entries_search.
-- Transfers (5) are found by the id that their reference ends in.
SELECT 0::int8, 0::int8, s.id, s.journal_id, s.account_id, s.asset_id, s.available_delta, s.held_delta, s.available_after,
       s.held_after, j.kind, j.reference, microseconds(j.posted_at)
  FROM journals j
  JOIN entries s ON s.journal_id = j.id
  JOIN accounts a ON a.id = s.account_id
 WHERE ((j.reference = $9::text AND j.kind <> 5)
        OR (j.id = CASE WHEN $9 ~ '^[a-z]+:[0-9]{1,18}$' THEN split_part($9, ':', 2)::int8 END AND j.kind = 5 AND j.reference = $9))
   AND a.owner_id = $1::int8 AND a.kind = 1 AND s.id < $2::int8
   AND ($3::int8 = 0 OR a.id = $3) AND ($4::int4 = 0 OR a.asset_id = $4)
   AND j.posted_at >= at_microseconds($5::int8) AND j.posted_at < at_microseconds($6::int8)
   AND abs(CASE WHEN s.available_delta + s.held_delta <> 0 THEN s.available_delta + s.held_delta ELSE s.available_delta END)
       BETWEEN $7::int8 AND $8::int8
 ORDER BY s.id DESC
 LIMIT $10::int8
