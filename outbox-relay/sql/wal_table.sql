-- Table $1 (quoted), and whether publication $2 says what is inserted there. No row if there is no such table.
SELECT c.oid::bigint, n.nspname::text, c.relname::text, p.oid IS NOT NULL AS publication, coalesce(p.pubinsert, false) AS inserts,
       coalesce(p.puballtables, false) OR EXISTS (SELECT FROM pg_publication_tables t WHERE t.pubname = $2::text
           AND t.schemaname = n.nspname AND t.tablename = c.relname) AS has_table,
       c.relkind = 'p' AS partitioned
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_publication p ON p.pubname = $2::text
 WHERE c.oid = to_regclass($1::text)
