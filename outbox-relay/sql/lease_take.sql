-- Ends the session of a holder whose client is dead or paused. $1 its pid.
SELECT pg_terminate_backend($1::integer)
