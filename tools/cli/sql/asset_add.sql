-- An asset of code $1, of $2 decimals, class $3. Answers with its id.
INSERT INTO assets (id, code, scale, class)
SELECT (SELECT coalesce(max(id), 0) + 1 FROM assets), $1::text, $2::text::smallint, array_position(ARRAY['currency', 'crypto'], $3::text)
RETURNING id::int8
