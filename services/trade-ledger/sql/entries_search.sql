-- A user's entries, newest first. $1 user, $2 only ids below, $3 account (0: all), $4 asset (0: all), booked from $5 on and before $6
-- microseconds, that move from $7 to $8 minor units, $9 at most of each account are looked at, $10 at most are found.
-- Each row begins with how many were looked at and the last of them; one row without an entry says just that.
WITH wanted AS MATERIALIZED (
    SELECT a.id,
           CASE WHEN $5::int8 <= 0 THEN 0 ELSE coalesce(entry_as_of(a.id, at_microseconds($5 - 1)), 0) END AS after_id,
           CASE WHEN $6::int8 >= 253402300799999999 THEN $2::int8 - 1
                ELSE least($2 - 1, coalesce(entry_as_of(a.id, at_microseconds($6 - 1)), 0)) END AS last_id
      FROM accounts a
     WHERE a.owner_id = $1::int8 AND a.kind = 1 AND ($3::int8 = 0 OR a.id = $3) AND ($4::int4 = 0 OR a.asset_id = $4)),
seen AS MATERIALIZED (
    SELECT e.*
      FROM wanted w
     CROSS JOIN LATERAL (SELECT x.* FROM entries x
                          WHERE x.account_id = w.id AND x.id > w.after_id AND x.id <= w.last_id
                          ORDER BY x.id DESC LIMIT $9::int8) AS e),
found AS (
    SELECT * FROM seen s
     WHERE abs(CASE WHEN s.available_delta + s.held_delta <> 0 THEN s.available_delta + s.held_delta ELSE s.available_delta END)
           BETWEEN $7::int8 AND $8::int8
     ORDER BY s.id DESC LIMIT $10::int8)
SELECT n.looked_at, n.last_id, f.id, f.journal_id, f.account_id, f.asset_id, f.available_delta, f.held_delta, f.available_after,
       f.held_after, j.kind, j.reference, microseconds(j.posted_at)
  FROM (SELECT count(*)::int8 AS looked_at, min(id) AS last_id FROM seen) AS n
  LEFT JOIN found f ON true
  LEFT JOIN journals j ON j.id = f.journal_id
 ORDER BY f.id DESC
