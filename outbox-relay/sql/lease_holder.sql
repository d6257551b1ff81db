-- Who holds the source's lock, and for how many microseconds its client has not been heard of. $1, $2 the lock.
SELECT a.pid, (extract(epoch FROM clock_timestamp() - greatest(a.state_change, a.query_start)) * 1000000)::bigint
  FROM pg_locks l JOIN pg_stat_activity a USING (pid)
 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND l.classid::bigint = $1::integer::bigint & 4294967295 AND l.objid::bigint = $2::integer::bigint & 4294967295
   AND (a.state LIKE 'idle%' OR a.wait_event_type = 'Client')
