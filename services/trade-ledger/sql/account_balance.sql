-- One account with what is pending, in one snapshot. $1 account id, or 0: the account of user $2 in asset $3.
SELECT a.id, a.owner_id, a.kind, a.asset_id, a.available, a.held,
       (SELECT coalesce(sum(o.held_minor + coalesce(o.amend_hold_minor, 0)), 0)::int8
          FROM orders o
          JOIN markets m ON m.id = o.market_id
         WHERE o.user_id = a.owner_id AND o.status IN (1, 2)
           AND a.asset_id = CASE o.side WHEN 1 THEN m.quote_asset_id ELSE m.base_asset_id END),
       (SELECT e.id FROM entries e WHERE e.account_id = a.id ORDER BY e.id DESC LIMIT 1)
  FROM accounts a
 WHERE (a.id = $1::int8 AND $1 > 0) OR (a.owner_id = $2::int8 AND a.kind = 1 AND a.asset_id = $3::int4 AND $1 = 0)
