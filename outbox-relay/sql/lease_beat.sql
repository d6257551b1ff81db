-- A sign of life: it moves state_change in pg_stat_activity.
SELECT 1
