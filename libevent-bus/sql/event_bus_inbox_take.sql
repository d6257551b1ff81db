-- Remembers requests, and tells which were there: for each, in order, whether this is its first time, and whether what was asked
-- under its id is the same as then. Those that are new are inserted in the order of their keys, so that two transactions cannot wait
-- for each other. $1 sources, $2 ids, $3 values
WITH asked AS (
    SELECT 'event:' || n.source AS source, n.id, sha256(coalesce(n.value, '')) AS digest, n.nth,
           row_number() OVER same AS turn, first_value(sha256(coalesce(n.value, ''))) OVER same AS first_digest
      FROM unnest($1::text[], $2::text[], $3::bytea[]) WITH ORDINALITY AS n(source, id, value, nth)
    WINDOW same AS (PARTITION BY n.source, n.id ORDER BY n.nth)
), added AS (
    INSERT INTO inbox (source, id, digest, status)
    SELECT source, id, digest, 202 FROM asked WHERE turn = 1 ORDER BY source, id
        ON CONFLICT DO NOTHING
    RETURNING source, id)
SELECT added.id IS NOT NULL AND asked.turn = 1 AS fresh,
       CASE WHEN added.id IS NOT NULL THEN asked.digest = asked.first_digest
            ELSE asked.digest = coalesce(inbox.digest, asked.digest) END AS same
  FROM asked
  LEFT JOIN added USING (source, id)
  LEFT JOIN inbox USING (source, id)
 ORDER BY asked.nth
