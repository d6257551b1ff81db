-- Balances that are not what the account's last entry left. $1 only accounts above, $2 at most so many. Each row begins with how many
-- were compared and the last of them; one row without an account says just that.
WITH these AS MATERIALIZED (SELECT id, available, held FROM accounts WHERE id > $1::int8 ORDER BY id LIMIT $2::int8),
different AS (
    SELECT s.id, format('%s/%s, but the last entry left %s/%s', s.available, s.held, coalesce(e.available_after, 0),
                        coalesce(e.held_after, 0)) AS detail
      FROM these s
      LEFT JOIN LATERAL (SELECT x.available_after, x.held_after FROM entries x
                          WHERE x.account_id = s.id ORDER BY x.id DESC LIMIT 1) AS e ON true
     WHERE s.available <> coalesce(e.available_after, 0) OR s.held <> coalesce(e.held_after, 0))
SELECT n.compared, n.last_id, d.id, d.detail
  FROM (SELECT count(*)::int8 AS compared, max(id) AS last_id FROM these) AS n
  LEFT JOIN different d ON true
