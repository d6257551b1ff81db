-- Settings of a reading session: plans by index whatever the statistics say (the table is empty at one moment and has a million
-- rows at the next), one process, and an end to a statement that hangs. $1 statement timeout, "60s".
SELECT set_config('enable_seqscan', 'off', false), set_config('plan_cache_mode', 'force_generic_plan', false),
       set_config('max_parallel_workers_per_gather', '0', false), set_config('jit', 'off', false),
       set_config('synchronous_commit', 'on', false), set_config('standard_conforming_strings', 'on', false),
       set_config('statement_timeout', $1, false)
