-- Disarms those of users $1.
DELETE FROM dead_man_switches WHERE user_id IN (SELECT d.user_id FROM dead_man_switches d WHERE d.user_id = ANY ($1::int8[])
                                                 ORDER BY d.user_id FOR UPDATE)
