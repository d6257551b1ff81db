-- A ledger that has been used: :entries entries, half of them of :owners users who topped up in turn, half of the funding account, as
-- trade-ledger would have written them. Through the real tables with their indexes, checks and triggers. psql -v entries=10000000
-- -v owners=10000 -v amount=1000000; prints the first owner's account.
\set ON_ERROR_STOP on
BEGIN;
CREATE TEMPORARY TABLE shape ON COMMIT DROP AS
SELECT (:entries / 2)::int8 AS journals, :owners::int8 AS owners, 1000000000::int8 AS first_owner, (:amount)::int8 AS amount,
       (SELECT last_value FROM journals_id_seq) AS journal,
       (SELECT id FROM assets WHERE code = 'USD') AS asset,
       (SELECT coalesce(max(posted_at), now() - interval '1 year') FROM journals) AS since;   -- along an account time never goes back

INSERT INTO accounts (owner_id, kind, asset_id)
SELECT first_owner + n, 1, asset FROM shape, generate_series(1, owners) AS n
UNION ALL
SELECT 0, 2, asset FROM shape
    ON CONFLICT DO NOTHING;

-- In the order of entries: the owners' accounts as numbers from 0.
CREATE TEMPORARY TABLE numbered ON COMMIT DROP AS
SELECT a.owner_id - first_owner - 1 AS n, a.id, a.available FROM accounts a, shape WHERE a.kind = 1 AND a.owner_id > first_owner;
CREATE UNIQUE INDEX ON numbered (n) INCLUDE (id, available);
ANALYZE numbered;

INSERT INTO journals (id, kind, reference, posted_at)
SELECT journal + n, 1, 'topup:' || (1000000000 + journal + n), since + (now() - since) * (n::float8 / journals)
  FROM shape, generate_series(1, journals) AS n;

INSERT INTO entries (id, journal_id, account_id, asset_id, available_delta, held_delta, available_after, held_after)
SELECT (s.journal + n.n) * 64 + leg, s.journal + n.n, CASE leg WHEN 0 THEN o.id ELSE f.id END, s.asset, CASE leg WHEN 0 THEN amount ELSE -amount END, 0,
       CASE leg WHEN 0 THEN o.available + ((n.n - 1) / s.owners + 1) * amount ELSE f.available - n.n * amount END, CASE leg WHEN 0 THEN 0 ELSE f.held END
  FROM shape s
  JOIN accounts f ON f.owner_id = 0 AND f.kind = 2 AND f.asset_id = s.asset
 CROSS JOIN generate_series(1, (:entries / 2)::int8) AS n(n)
  JOIN numbered o ON o.n = (n.n - 1) % s.owners
 CROSS JOIN generate_series(0, 1) AS leg
 ORDER BY n.n, leg;

UPDATE accounts a SET available = a.available + t.moved
  FROM (SELECT account_id, sum(available_delta) AS moved FROM entries, shape WHERE entries.journal_id > journal GROUP BY 1) AS t
 WHERE a.id = t.account_id;
DO $$ BEGIN
    PERFORM setval('journals_id_seq', journal + journals + 1) FROM shape;
END $$;
SELECT min(id) FROM numbered;
COMMIT;
ANALYZE accounts, journals, entries;
CHECKPOINT;
