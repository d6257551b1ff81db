-- Journals with nothing but a cause (others: journals_insert_more). $1 ids, $2 kinds, $3 references, $4 time in microseconds, $5 causes.
INSERT INTO journals (id, kind, reference, posted_at, cause)
SELECT unnest($1::int8[]), unnest($2::int4[]), unnest($3::text[]), timestamptz 'epoch' + $4::int8 * interval '1 microsecond',
       unnest($5::text[])
