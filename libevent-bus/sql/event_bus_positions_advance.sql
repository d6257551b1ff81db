-- Moves positions, all or none; EB001 if one is not where it is believed to be.
-- $1 group, $2 topics (text[]), $3 partitions (int4[]), $4 believed offsets (int8[]), $5 new offsets (int8[]),
-- $6 offsets of the records handled last (int8[]; -1: as before), $7 their digests (int8[])
SELECT consumer_positions_advance($1::text, $2::text[], $3::integer[], $4::bigint[], $5::bigint[],
       (SELECT array_agg(nullif(o, -1) ORDER BY nth) FROM unnest($6::bigint[]) WITH ORDINALITY AS l(o, nth)), $7::bigint[])
