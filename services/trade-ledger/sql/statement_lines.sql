-- The entries of a statement, oldest first. $1 account, $2 only ids above, $3 up to, $4 with those that only set aside or give back,
-- $5 at most. What a transfer or a top-up was for is what
-- its payer wrote.
SELECT e.id, j.kind, j.reference, coalesce(j.note, t.reference, ''), e.available_delta + e.held_delta, e.available_after, e.held_after,
       microseconds(j.posted_at)
  FROM entries e
  JOIN journals j ON j.id = e.journal_id
  LEFT JOIN topups t ON t.id = CASE WHEN j.kind = 1 AND j.reference ~ '^topup:[0-9]{1,18}$' THEN substring(j.reference FROM 7)::int8 END
 WHERE e.account_id = $1::int8 AND e.id > $2::int8 AND e.id <= $3::int8 AND ($4::bool OR e.available_delta + e.held_delta <> 0)
 ORDER BY e.id
 LIMIT $5::int8
