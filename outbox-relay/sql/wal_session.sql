-- Settings of a session that peeks: parameters for sql/wal_peek.sql, which as a COPY can have none, and statements without an end,
-- for decoding one large transaction takes as long as it takes. $1 slot, $2 publication (quoted), $3 changes a peek.
SELECT set_config('outbox_relay.slot', $1, false), set_config('outbox_relay.publication', $2, false),
       set_config('outbox_relay.changes', $3, false), set_config('statement_timeout', '0', false)
