-- As journals_insert, with $6 notes and $7 the times they belong to in microseconds, 0: when posted.
INSERT INTO journals (id, kind, reference, posted_at, cause, note, effective_at)
SELECT n.id, n.kind, n.reference, timestamptz 'epoch' + $4::int8 * interval '1 microsecond', n.cause, n.note,
       timestamptz 'epoch' + nullif(n.effective_at_us, 0) * interval '1 microsecond'
  FROM unnest($1::int8[], $2::int4[], $3::text[], $5::text[], $6::text[], $7::int8[])
       AS n(id, kind, reference, cause, note, effective_at_us)
