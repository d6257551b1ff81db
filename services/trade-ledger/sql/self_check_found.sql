-- $1 kind, $2 subjects, $3 details, $4 pass; rows: those that were not known.
INSERT INTO self_check_differences AS d (kind, subject_id, detail, pass)
SELECT DISTINCT ON (n.subject_id) $1::int4, n.subject_id, n.detail, $4::int8
  FROM unnest($2::int8[], $3::text[]) AS n(subject_id, detail)
    ON CONFLICT (kind, subject_id) DO UPDATE SET pass = excluded.pass, detail = excluded.detail
RETURNING subject_id, detail, (xmax = 0) AS is_new
