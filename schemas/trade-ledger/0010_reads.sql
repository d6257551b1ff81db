-- The ledger as it was. Times of booking never go back along an account: they are taken from this server's clock while the account
-- is locked. So the account's entries are sorted by time as they are by id, and a time is found among them by halving the range of
-- ids: about 24 steps in ten million entries, each one look-up in entries_account and one of a journal. Nothing more has to be
-- written for it: an index on time would cost every entry that is booked.

-- The last entry of an account that was booked until then; NULL: none.
CREATE FUNCTION entry_as_of(p_account_id bigint, p_at timestamptz) RETURNS bigint LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    found_id bigint;
    low      bigint := 0;   -- what is not above is not later than p_at
    high     bigint;        -- what is above is later
    middle   bigint;
    probe    record;
BEGIN
    SELECT e.id INTO high FROM entries e WHERE e.account_id = p_account_id ORDER BY e.id DESC LIMIT 1;
    IF high IS NULL THEN
        RETURN NULL;
    END IF;
    middle := high;         -- most who ask, ask for times after the last
    WHILE low < high LOOP
        SELECT e.id, j.posted_at INTO probe
          FROM entries e
          JOIN journals j ON j.id = e.journal_id
         WHERE e.account_id = p_account_id AND e.id > low AND e.id <= middle
         ORDER BY e.id DESC
         LIMIT 1;
        IF probe.id IS NULL THEN
            low := middle;
        ELSIF probe.posted_at <= p_at THEN
            found_id := probe.id;
            low := middle;
        ELSE
            high := probe.id - 1;
        END IF;
        middle := low + (high - low + 1) / 2;
    END LOOP;
    RETURN found_id;
END
$$;

CREATE FUNCTION microseconds(p_at timestamptz) RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (extract(epoch FROM p_at) * 1000000)::bigint;
CREATE FUNCTION at_microseconds(p_us bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN timestamptz 'epoch' + p_us * interval '1 microsecond';
