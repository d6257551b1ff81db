-- Brings the log up to here to disk: a transaction that wrote something flushes it when it commits.
SELECT pg_logical_emit_message(true, 'outbox-relay', '')
