-- Ends the session $2 if it still has slot $1: a relay before us, which Kafka has fenced.
SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1::text AND active_pid = $2::integer
