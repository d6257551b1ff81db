-- The ledger checks itself all the time, a little every second, whatever process gets to it; this is how far it has come.
CREATE TABLE self_check (
    only_row           boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    account_id         bigint      NOT NULL DEFAULT 0,   -- balances: compared up to this account
    balances_pass      bigint      NOT NULL DEFAULT 1,
    entry_account_id   bigint      NOT NULL DEFAULT 0,   -- entries: followed up to this one of this account, …
    entry_id           bigint      NOT NULL DEFAULT 0,
    entry_available    bigint      NOT NULL DEFAULT 0,   -- … whose balances it left
    entry_held         bigint      NOT NULL DEFAULT 0,
    entries_pass       bigint      NOT NULL DEFAULT 1,
    journal_id         bigint      NOT NULL DEFAULT 0,   -- journals: summed up to this one
    journals_pass      bigint      NOT NULL DEFAULT 1,
    run_at             timestamptz
) WITH (fillfactor = 20);
INSERT INTO self_check DEFAULT VALUES;

-- What was found, until a later pass finds it no more. kind: 1 a balance is not what its last entry left, 2 an entry does not follow
-- from the one before it, 3 a journal does not sum to zero, 4 an asset does not. subject_id: account, entry, journal, asset.
CREATE TABLE self_check_differences (
    kind       smallint    NOT NULL CHECK (kind BETWEEN 1 AND 4),
    subject_id bigint      NOT NULL,
    pass       bigint      NOT NULL,   -- the last that found it
    detail     text        NOT NULL,
    found_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (kind, subject_id)
);

GRANT SELECT, UPDATE ON self_check TO :"service_role";
GRANT SELECT, INSERT, UPDATE, DELETE ON self_check_differences TO :"service_role";
