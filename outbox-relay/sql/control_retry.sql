-- Asks for parked rows to be published after all: $1 source, $2 topic or NULL, $3 key or NULL. What is parked behind them goes too.
WITH request AS (
    INSERT INTO {control} AS c (source, redrive) VALUES ($1::text, 1)
        ON CONFLICT (source) DO UPDATE SET redrive = c.redrive + 1, changed_at = clock_timestamp()
    RETURNING redrive
)
UPDATE {parked} p SET redrive = request.redrive
  FROM request
 WHERE p.redrive IS NULL AND ($2::text IS NULL OR p.topic = $2::text) AND ($3::bytea IS NULL OR p.key = $3::bytea)
