-- Users who have signed up. $1 ids.
INSERT INTO owners (user_id) SELECT DISTINCT n.user_id FROM unnest($1::int8[]) AS n(user_id) ORDER BY 1 ON CONFLICT DO NOTHING
