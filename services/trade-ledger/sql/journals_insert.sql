-- Journals with nothing but a cause (others: journals_insert_more). $1 ids, $2 kinds, $3 references, $4 time in microseconds, $5 causes.
INSERT INTO journals (id, kind, reference, posted_at, cause)
SELECT n.id, n.kind, n.reference, timestamptz 'epoch' + $4::int8 * interval '1 microsecond', n.cause
  FROM unnest($1::int8[], $2::int4[], $3::text[], $5::text[]) AS n(id, kind, reference, cause)
