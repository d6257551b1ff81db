-- Requests seen before. $1 sources, $2 ids. Runs after the locks: what a concurrent batch of the same user did is visible.
SELECT i.source, i.id, i.digest, i.status, convert_from(i.reply, 'UTF8')
  FROM inbox i
 WHERE (i.source, i.id) IN (SELECT unnest($1::text[]), unnest($2::text[]))
