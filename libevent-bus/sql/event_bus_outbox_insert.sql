-- Inserts a batch of events; ids are given in the order of the arrays.
-- $1 topics, $2 keys, $3 types, $4 payloads, $5 traceparents; $6 headers: each row's array as its text, for unnest would
-- take an array of arrays apart.
INSERT INTO outbox (topic, key, type, payload, traceparent, headers)
SELECT unnest($1::text[]), unnest($2::bytea[]), unnest($3::text[]), unnest($4::bytea[]), unnest($5::text[]), unnest($6::text[])::text[]
