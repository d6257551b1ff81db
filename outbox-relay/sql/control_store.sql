-- Stores position $3 of source $1, if the relay of epoch $2 is still the one. Once it is committed it is on disk, whatever the
-- database's default is, and so is all that its snapshots see as finished.
UPDATE {control} SET position = $3::bytea
 WHERE source = $1::text AND epoch = $2::bigint AND set_config('synchronous_commit', 'on', true) = 'on'
