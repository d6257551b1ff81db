-- Who a token speaks for. $1 user id.
SELECT email, scope, (extract(epoch FROM created_at) * 1000000)::int8 FROM users WHERE id = $1::int8
