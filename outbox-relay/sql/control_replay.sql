-- Asks for rows that were published to be published again: $1 source, $2 from this id on, or $3 from this time on.
INSERT INTO {control} AS c (source, replay, replay_from_id, replay_from) VALUES ($1::text, 1, $2::text::bigint, $3::text::timestamptz)
    ON CONFLICT (source) DO UPDATE
   SET replay = c.replay + 1, replay_from_id = $2::text::bigint, replay_from = $3::text::timestamptz, changed_at = clock_timestamp()
RETURNING replay
