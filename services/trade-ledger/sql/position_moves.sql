-- What moved an account, in order. $1 account, $2 only entries above, $3 the same owner's account in the asset it is valued in, $4 how
-- references of trades of its market begin, $5 at most. Of such a trade also what it moved there.
SELECT e.id, e.journal_id, e.available_delta + e.held_delta,
       CASE WHEN j.kind = 3 AND starts_with(j.reference, $4::text)
            THEN (SELECT sum(x.available_delta + x.held_delta)::int8 FROM entries x
                   WHERE x.journal_id = e.journal_id AND x.account_id = $3::int8) END
  FROM entries e
  JOIN journals j ON j.id = e.journal_id
 WHERE e.account_id = $1::int8 AND e.id > $2::int8 AND e.available_delta + e.held_delta <> 0
 ORDER BY e.id
 LIMIT $5::int8
