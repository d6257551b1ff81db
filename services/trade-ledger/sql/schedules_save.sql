-- $1 ids, $2 occurrences, $3 next times in microseconds, $4 attempts, $5 statuses, $6 occurrences in a row that were given up.
UPDATE scheduled_transfers AS s
   SET occurrence = n.occurrence, next_at = at_microseconds(n.next_us), attempts = n.attempts, status = n.status, failures = n.failures
  FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int4[], $5::int4[], $6::int4[])
       AS n(id, occurrence, next_us, attempts, status, failures)
 WHERE s.id = n.id
