-- As journals_insert, with $6 notes and $7 the times they belong to in microseconds, 0: when posted.
INSERT INTO journals (id, kind, reference, posted_at, cause, note, effective_at)
SELECT n.id, n.kind, n.reference, timestamptz 'epoch' + $4::int8 * interval '1 microsecond', n.cause, n.note,
       timestamptz 'epoch' + nullif(n.effective_at_us, 0) * interval '1 microsecond'
  FROM (SELECT unnest($1::int8[]) AS id, unnest($2::int4[]) AS kind, unnest($3::text[]) AS reference, unnest($5::text[]) AS cause,
               unnest($6::text[]) AS note, unnest($7::int8[]) AS effective_at_us) AS n
