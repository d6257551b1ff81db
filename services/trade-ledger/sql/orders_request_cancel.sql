-- $1: ids of locked orders; $2 time in microseconds.
UPDATE orders SET cancel_requested = true, updated_at = timestamptz 'epoch' + $2::int8 * interval '1 microsecond'
 WHERE id = ANY ($1::int8[])
