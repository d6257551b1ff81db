-- Decisions on locked adjustments. $1 ids, $2 statuses, $3 by whom, $4 why, $5 journals (0: none), $6 time in microseconds.
UPDATE adjustments AS a
   SET status = n.status, decided_by = n.decided_by, decision_reason = n.reason, journal_id = nullif(n.journal_id, 0),
       decided_at = timestamptz 'epoch' + $6::int8 * interval '1 microsecond'
  FROM unnest($1::int8[], $2::int4[], $3::int8[], $4::text[], $5::int8[]) AS n(id, status, decided_by, reason, journal_id)
 WHERE a.id = n.id
