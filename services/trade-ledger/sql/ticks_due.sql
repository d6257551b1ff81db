-- Markets where an open order's end has come and the engine has not been told of a later time, or told $2 microseconds ago and the
-- order is still there. $1: now in microseconds. Remembers that it is told.
WITH due AS (
    SELECT o.market_id, max(o.expires_at) AS expires_at
      FROM orders o
     WHERE o.status IN (1, 2) AND o.expires_at <= timestamptz 'epoch' + $1::int8 * interval '1 microsecond'
     GROUP BY o.market_id)
INSERT INTO market_progress AS p (market_id, last_posting_seq, last_seq, ticked_until)
SELECT d.market_id, 0, 0, timestamptz 'epoch' + $1 * interval '1 microsecond' FROM due d ORDER BY d.market_id
    ON CONFLICT (market_id) DO UPDATE SET ticked_until = excluded.ticked_until
 WHERE p.ticked_until IS NULL OR p.ticked_until < (SELECT d.expires_at FROM due d WHERE d.market_id = p.market_id)
    OR p.ticked_until <= excluded.ticked_until - $2::int8 * interval '1 microsecond'
RETURNING p.market_id
