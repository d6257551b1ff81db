-- Inserts a batch of events; ids are given in the order of the arrays.
-- $1 topics, $2 keys, $3 types, $4 payloads, $5 traceparents; $6 headers: each row's array as its text, for unnest would
-- take an array of arrays apart.
INSERT INTO outbox (topic, key, type, payload, traceparent, headers)
SELECT topic, key, type, payload, traceparent, headers::text[]
  FROM unnest($1::text[], $2::bytea[], $3::text[], $4::bytea[], $5::text[], $6::text[])
       WITH ORDINALITY AS e (topic, key, type, payload, traceparent, headers, position)
 ORDER BY position
