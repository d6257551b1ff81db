-- Parks events. $1 group; columns: $2 topics, $3 partitions, $4 offsets, $5 keys, $6 ids, $7 sources, $8 types, $9 subjects,
-- $10 traceparents, $11 times, $12 values, $13 flaws, $14 reasons
INSERT INTO parked_events (consumer_group, topic, partition, log_offset, key, ce_id, source, type, subject, traceparent, time_us, value,
                           flaw, reason)
SELECT $1::text, n.*
  FROM unnest($2::text[], $3::integer[], $4::bigint[], $5::bytea[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
              $11::bigint[], $12::bytea[], $13::text[], $14::text[]) AS n
