-- The rows of requests before $1, and of that one up to place $2, are published: they are not parked any more.
DELETE FROM {parked} WHERE redrive IS NOT NULL AND (redrive, position) <= ($1::bigint, $2::bigint)
