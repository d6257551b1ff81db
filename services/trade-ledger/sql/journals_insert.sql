-- $1 ids, $2 kinds, $3 references, $4 time in microseconds.
INSERT INTO journals (id, kind, reference, posted_at)
SELECT n.id, n.kind, n.reference, timestamptz 'epoch' + $4::int8 * interval '1 microsecond'
  FROM unnest($1::int8[], $2::int4[], $3::text[]) AS n(id, kind, reference)
