-- The columns of the table with oid $1: name, type, whether the type is an enum, the type that a domain is over (else 0).
SELECT a.attname::text, a.atttypid::bigint, t.typtype = 'e', t.typbasetype::bigint, format_type(a.atttypid, a.atttypmod)
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
 WHERE a.attrelid = $1::bigint::oid AND a.attnum > 0 AND NOT a.attisdropped
