-- Stores position $3 of source $1, if the relay of epoch $2 is still the one.
UPDATE {control} SET position = $3::bytea WHERE source = $1::text AND epoch = $2::bigint
