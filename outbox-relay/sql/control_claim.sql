-- A relay takes over source $1: nobody of an older epoch may store a position any more. Returns the epoch and the position.
INSERT INTO {control} AS c (source, epoch) VALUES ($1::text, 1)
    ON CONFLICT (source) DO UPDATE SET epoch = c.epoch + 1
RETURNING epoch, position
