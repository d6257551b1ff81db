-- One proposed adjustment. $1 id, $2 by whom, $3 accounts and $4 amounts of its legs, $5 note, $6 the time it belongs to in microseconds
-- (0: when it is booked), $7 time in microseconds, $8 the journal that it undoes (0: none).
INSERT INTO adjustments (id, proposed_by, account_ids, amounts, note, effective_at, created_at, reverses)
VALUES ($1::int8, $2::int8, $3::int8[], $4::int8[], $5::text, timestamptz 'epoch' + nullif($6::int8, 0) * interval '1 microsecond',
        timestamptz 'epoch' + $7::int8 * interval '1 microsecond', nullif($8::int8, 0))
