-- Blocks user $1 in market $2 (NULL: in every one), or with $3 false lets him trade again. Answers with how many markets changed.
SELECT kill_switch($1::text::int8, $2::text, $3::bool)
