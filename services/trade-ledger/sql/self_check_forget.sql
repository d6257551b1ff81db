-- What the pass that has ended did not find again. $1 kind, $2 pass.
DELETE FROM self_check_differences WHERE kind = $1::int4 AND pass < $2::int8
