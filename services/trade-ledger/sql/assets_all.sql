-- All assets.
SELECT id, code, scale, class FROM assets ORDER BY id
