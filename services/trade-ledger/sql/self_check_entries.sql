-- Entries that do not follow from the one before them. $1 account and $2 entry to go on after, $3 and $4 the balances it left; $5 at
-- most so many. Each row begins with how many were followed, and the last of them with its account and balances.
WITH page AS MATERIALIZED (
    SELECT e.account_id, e.id, e.available_delta, e.held_delta, e.available_after, e.held_after
      FROM entries e
     WHERE (e.account_id, e.id) > ($1::int8, $2::int8)
     ORDER BY e.account_id, e.id
     LIMIT $5::int8),
linked AS MATERIALIZED (
    SELECT p.*, lag(p.account_id, 1, $1) OVER w = p.account_id AS follows, lag(p.available_after, 1, $3::int8) OVER w AS available,
           lag(p.held_after, 1, $4::int8) OVER w AS held, row_number() OVER w AS n
      FROM page p
    WINDOW w AS (ORDER BY p.account_id, p.id)),
broken AS (
    SELECT l.id, format('of account %s moves %s/%s from %s/%s and leaves %s/%s', l.account_id, l.available_delta, l.held_delta,
                        CASE WHEN l.follows THEN l.available ELSE 0 END, CASE WHEN l.follows THEN l.held ELSE 0 END,
                        l.available_after, l.held_after) AS detail
      FROM linked l
     WHERE l.available_after <> CASE WHEN l.follows THEN l.available ELSE 0 END::numeric + l.available_delta
        OR l.held_after <> CASE WHEN l.follows THEN l.held ELSE 0 END::numeric + l.held_delta)
SELECT coalesce(t.n, 0), t.account_id, t.id, t.available_after, t.held_after, b.id, b.detail
  FROM (SELECT 1) AS one
  LEFT JOIN (SELECT * FROM linked ORDER BY n DESC LIMIT 1) AS t ON true
  LEFT JOIN broken b ON true
