-- All assets.
SELECT id, code, scale FROM assets ORDER BY id
