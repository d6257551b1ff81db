-- A reversal can be proposed too; schedules that fail say so.
ALTER TABLE adjustments ADD COLUMN reverses bigint;   -- the journal that it undoes

DROP TRIGGER adjustments_state_machine ON adjustments;
CREATE TRIGGER adjustments_state_machine BEFORE UPDATE ON adjustments FOR EACH ROW
    WHEN (OLD.status <> 1 OR NEW.status = 1
          OR (OLD.id, OLD.proposed_by, OLD.account_ids, OLD.amounts, OLD.note, OLD.effective_at, OLD.created_at, OLD.reverses)
             IS DISTINCT FROM (NEW.id, NEW.proposed_by, NEW.account_ids, NEW.amounts, NEW.note, NEW.effective_at, NEW.created_at, NEW.reverses))
    EXECUTE FUNCTION forbidden_change('not a step of an adjustment');

-- failures: occurrences in a row that were given up. status: 1 active, 2 paused, 3 cancelled, 4 finished, 5 failed (its only occurrence was
-- given up), 6 suspended (too many were given up; it waits for its owner).
ALTER TABLE scheduled_transfers
    ADD COLUMN failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    DROP CONSTRAINT scheduled_transfers_status_check,
    ADD CONSTRAINT scheduled_transfers_status_check CHECK (status BETWEEN 1 AND 6);
CREATE INDEX scheduled_transfers_failed ON scheduled_transfers (id) WHERE status IN (5, 6) OR attempts > 0 OR failures > 0;

DROP TRIGGER scheduled_transfers_state_machine ON scheduled_transfers;
CREATE TRIGGER scheduled_transfers_state_machine BEFORE UPDATE ON scheduled_transfers FOR EACH ROW
    WHEN (OLD.status IN (3, 4, 5) OR NEW.occurrence < OLD.occurrence
          OR (OLD.id, OLD.user_id, OLD.key, OLD.to_user_id, OLD.asset_id, OLD.amount, OLD.note, OLD.every, OLD.first_at, OLD.created_at)
             IS DISTINCT FROM (NEW.id, NEW.user_id, NEW.key, NEW.to_user_id, NEW.asset_id, NEW.amount, NEW.note, NEW.every,
              NEW.first_at, NEW.created_at))
    EXECUTE FUNCTION forbidden_change('not a step of a scheduled transfer');

GRANT UPDATE (failures) ON scheduled_transfers TO :"service_role";
