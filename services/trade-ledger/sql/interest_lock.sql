-- Whether it is this process's turn; until the transaction ends.
SELECT pg_try_advisory_xact_lock(7305001)
