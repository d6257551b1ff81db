-- Journals whose entries do not sum to zero in an asset. $1 only journals above, $2 up to so many ids on. Each row begins with the last
-- journal there is.
SELECT (SELECT coalesce(max(id), 0) FROM journals), u.journal_id, u.detail
  FROM (SELECT 1) AS one
  LEFT JOIN (SELECT e.journal_id, format('asset %s: %s', e.asset_id, sum(e.available_delta::numeric + e.held_delta)) AS detail
               FROM entries e
              WHERE e.journal_id > $1::int8 AND e.journal_id <= $1 + $2::int8
              GROUP BY e.journal_id, e.asset_id
             HAVING sum(e.available_delta::numeric + e.held_delta) <> 0) AS u ON true
