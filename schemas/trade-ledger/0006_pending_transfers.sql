-- Two-phase transfers: money is set aside for someone, then posted to him in full or in part, given back, or given back when its time
-- has run out. The id is that of the journal that set it aside; all its journals have the reference 'transfer:<id>'.
CREATE TABLE pending_transfers (
    id              bigint      PRIMARY KEY,
    from_account_id bigint      NOT NULL,
    to_account_id   bigint      NOT NULL,
    asset_id        smallint    NOT NULL,
    amount          bigint      NOT NULL CHECK (amount > 0),
    posted          bigint      NOT NULL DEFAULT 0 CHECK (posted BETWEEN 0 AND amount),   -- once it is posted
    status          smallint    NOT NULL DEFAULT 1 CHECK (status BETWEEN 1 AND 4),        -- pending, posted, voided, expired
    created_by      bigint      NOT NULL,
    note            text,
    expires_at      timestamptz NOT NULL,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    CHECK ((status = 2) = (posted > 0))
) WITH (fillfactor = 80);
CREATE INDEX pending_transfers_due ON pending_transfers (expires_at) WHERE status = 1;
CREATE INDEX pending_transfers_from ON pending_transfers (from_account_id, id);
CREATE INDEX pending_transfers_to ON pending_transfers (to_account_id, id);

-- It leaves pending once, and nothing else about it changes.
CREATE TRIGGER pending_transfers_state_machine BEFORE UPDATE ON pending_transfers FOR EACH ROW
    WHEN (OLD.status <> 1 OR NEW.status = 1
          OR (OLD.id, OLD.from_account_id, OLD.to_account_id, OLD.asset_id, OLD.amount, OLD.created_by, OLD.note, OLD.expires_at,
              OLD.created_at)
             IS DISTINCT FROM (NEW.id, NEW.from_account_id, NEW.to_account_id, NEW.asset_id, NEW.amount, NEW.created_by, NEW.note,
              NEW.expires_at, NEW.created_at))
    EXECUTE FUNCTION forbidden_change('not a step of a pending transfer');

GRANT SELECT, INSERT ON pending_transfers TO :"service_role";
GRANT UPDATE (posted, status, updated_at) ON pending_transfers TO :"service_role";
