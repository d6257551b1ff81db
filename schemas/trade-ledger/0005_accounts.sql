-- The chart of accounts: classes of assets; accounts that can be frozen, closed or overdrawn; who is known as an owner; and what a
-- journal says of its cause.

ALTER TABLE assets ADD COLUMN class smallint NOT NULL DEFAULT 1 CHECK (class BETWEEN 1 AND 2);   -- penstock.markets.v1.AssetClass
UPDATE assets SET class = 2 WHERE code IN ('BTC', 'ETH');
UPDATE assets SET published = false;
DROP TRIGGER assets_never_change ON assets;
CREATE TRIGGER assets_never_change BEFORE UPDATE ON assets FOR EACH ROW
    WHEN ((OLD.id, OLD.code, OLD.scale, OLD.class) IS DISTINCT FROM (NEW.id, NEW.code, NEW.scale, NEW.class))
    EXECUTE FUNCTION forbidden_change('an asset never changes');

-- status: 1 open, 2 frozen (nothing goes out), 3 closed (nothing moves, and nothing is there).
ALTER TABLE accounts
    ADD COLUMN status          smallint NOT NULL DEFAULT 1 CHECK (status BETWEEN 1 AND 3),
    ADD COLUMN overdraft_minor bigint   NOT NULL DEFAULT 0 CHECK (overdraft_minor >= 0),   -- a user's may go below zero by this
    DROP CONSTRAINT accounts_check2,
    ADD CONSTRAINT accounts_within_overdraft CHECK (kind <> 1 OR available >= -overdraft_minor),
    ADD CONSTRAINT accounts_closed_are_empty CHECK (status <> 3 OR (available = 0 AND held = 0));

-- Who changed what about an account, and why.
CREATE TABLE account_changes (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id      bigint      NOT NULL,
    changed_by      bigint      NOT NULL,        -- user; 0: the ledger itself
    status          smallint    NOT NULL,        -- both as they are from then on
    overdraft_minor bigint      NOT NULL,
    reason          text        NOT NULL,
    changed_at      timestamptz NOT NULL
);
CREATE INDEX account_changes_account ON account_changes (account_id, id);
CREATE TRIGGER account_changes_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON account_changes
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- Who can be paid: whoever has signed up, or has an account already.
CREATE TABLE owners (
    user_id bigint PRIMARY KEY CHECK (user_id > 0)
);

-- What a journal says besides its reference. cause: source and id of the request or event behind it, as in inbox.
-- effective_at: the day it belongs to, where that is not the day it was posted.
ALTER TABLE journals
    ADD COLUMN cause        text,
    ADD COLUMN note         text,
    ADD COLUMN effective_at timestamptz CHECK (effective_at <= posted_at);

GRANT UPDATE (status, overdraft_minor) ON accounts TO :"service_role";
GRANT SELECT, INSERT ON account_changes, owners TO :"service_role";
