-- The columns of table $1 (quoted), each with its type; a domain counts as what it is made of.
SELECT a.attname, format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL)
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
 WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
