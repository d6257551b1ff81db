-- Locks and names the markets whose last change has not been published.
SELECT id FROM markets WHERE published_version < version ORDER BY id FOR NO KEY UPDATE
