-- Pauses source $1, or lets it go on: $2.
INSERT INTO {control} AS c (source, paused) VALUES ($1::text, $2::boolean)
    ON CONFLICT (source) DO UPDATE SET paused = $2::boolean, changed_at = clock_timestamp()
