-- Two-phase transfers whose time has run out at $1 microseconds, at most $2, and who made them. They are locked when they are given back.
SELECT p.id, p.created_by
  FROM pending_transfers p
 WHERE p.status = 1 AND p.expires_at <= timestamptz 'epoch' + $1::int8 * interval '1 microsecond'
 ORDER BY p.expires_at
 LIMIT $2::int8
