-- accounts whose balance is not the sum of their entries: none, ever
SELECT c.id, c.available::text || '/' || c.held || ' but entries sum to '
          || coalesce(sum(n.available_delta), 0) || '/' || coalesce(sum(n.held_delta), 0)
FROM accounts c LEFT JOIN entries n ON n.account_id = c.id
GROUP BY c.id HAVING c.available <> coalesce(sum(n.available_delta), 0) OR c.held <> coalesce(sum(n.held_delta), 0) LIMIT 1
