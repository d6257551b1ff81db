-- What a server that was promoted can tell of it: may this role ask for its timelines' history; was it a streaming standby since it
-- was started, and where did the log end that it took over (as a number).
SELECT (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user), pg_last_wal_receive_lsn() IS NOT NULL,
       coalesce(pg_last_wal_replay_lsn() - '0/0', 0)
