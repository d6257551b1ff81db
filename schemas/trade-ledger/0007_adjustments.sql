-- Manual adjustments by four eyes: one operator proposes, another one approves, and only then it is booked; or rejects.
CREATE TABLE adjustments (
    id              bigint      PRIMARY KEY,
    proposed_by     bigint      NOT NULL,
    account_ids     bigint[]    NOT NULL,
    amounts         bigint[]    NOT NULL,        -- of each, in minor units of its asset
    note            text,
    effective_at    timestamptz,
    status          smallint    NOT NULL DEFAULT 1 CHECK (status BETWEEN 1 AND 3),   -- proposed, approved, rejected
    decided_by      bigint,
    decision_reason text,
    journal_id      bigint,                      -- once approved
    created_at      timestamptz NOT NULL,
    decided_at      timestamptz,
    CHECK (cardinality(account_ids) = cardinality(amounts) AND cardinality(account_ids) >= 2),
    CHECK ((status = 1) = (decided_by IS NULL)),
    CHECK (decided_by <> proposed_by),
    CHECK ((status = 2) = (journal_id IS NOT NULL))
);
CREATE SEQUENCE adjustments_id_seq OWNED BY adjustments.id;
CREATE INDEX adjustments_proposed ON adjustments (id) WHERE status = 1;

-- It is decided once, and what was proposed is what is decided.
CREATE TRIGGER adjustments_state_machine BEFORE UPDATE ON adjustments FOR EACH ROW
    WHEN (OLD.status <> 1 OR NEW.status = 1
          OR (OLD.id, OLD.proposed_by, OLD.account_ids, OLD.amounts, OLD.note, OLD.effective_at, OLD.created_at)
             IS DISTINCT FROM (NEW.id, NEW.proposed_by, NEW.account_ids, NEW.amounts, NEW.note, NEW.effective_at, NEW.created_at))
    EXECUTE FUNCTION forbidden_change('not a step of an adjustment');

GRANT SELECT, INSERT ON adjustments TO :"service_role";
GRANT UPDATE (status, decided_by, decision_reason, journal_id, decided_at) ON adjustments TO :"service_role";
GRANT USAGE ON SEQUENCE adjustments_id_seq TO :"service_role";
