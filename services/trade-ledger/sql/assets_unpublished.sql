-- Locks and names the assets that assets.v1 has not been told of.
SELECT id FROM assets WHERE NOT published ORDER BY id FOR NO KEY UPDATE
