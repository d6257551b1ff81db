-- Transfers that are made when their time has come: once, or again and again.
CREATE TABLE scheduled_transfers (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id       bigint      NOT NULL CHECK (user_id > 0),
    key           text        NOT NULL,                             -- the request's Idempotency-Key
    to_user_id    bigint      NOT NULL CHECK (to_user_id > 0),
    asset_id      smallint    NOT NULL REFERENCES assets,
    amount        bigint      NOT NULL CHECK (amount > 0),
    note          text        NOT NULL,
    every         smallint    NOT NULL CHECK (every BETWEEN 1 AND 4),   -- once, day, week, month
    first_at      timestamptz NOT NULL,
    occurrence    bigint      NOT NULL DEFAULT 0 CHECK (occurrence >= 0),   -- the next, from 0
    next_at       timestamptz NOT NULL,                             -- when it is tried (again)
    attempts      integer     NOT NULL DEFAULT 0,                   -- of the next occurrence, that failed
    status        smallint    NOT NULL DEFAULT 1 CHECK (status BETWEEN 1 AND 4),   -- active, paused, cancelled, finished
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (user_id, key)
) WITH (fillfactor = 70);
CREATE INDEX scheduled_transfers_due ON scheduled_transfers (next_at) WHERE status = 1;
CREATE INDEX scheduled_transfers_user ON scheduled_transfers (user_id, id);

-- What is closed stays closed, and what was agreed does not change.
CREATE TRIGGER scheduled_transfers_state_machine BEFORE UPDATE ON scheduled_transfers FOR EACH ROW
    WHEN (OLD.status IN (3, 4) OR NEW.occurrence < OLD.occurrence
          OR (OLD.id, OLD.user_id, OLD.key, OLD.to_user_id, OLD.asset_id, OLD.amount, OLD.note, OLD.every, OLD.first_at, OLD.created_at)
             IS DISTINCT FROM (NEW.id, NEW.user_id, NEW.key, NEW.to_user_id, NEW.asset_id, NEW.amount, NEW.note, NEW.every,
              NEW.first_at, NEW.created_at))
    EXECUTE FUNCTION forbidden_change('not a step of a scheduled transfer');

-- Each attempt. problem: why it failed; NULL: it was made.
CREATE TABLE scheduled_runs (
    schedule_id bigint      NOT NULL,
    occurrence  bigint      NOT NULL,
    attempt     integer     NOT NULL,
    at          timestamptz NOT NULL,
    problem     text,
    detail      text        NOT NULL,
    PRIMARY KEY (schedule_id, occurrence, attempt)
);
CREATE TRIGGER scheduled_runs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON scheduled_runs
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();

GRANT SELECT, INSERT ON scheduled_transfers, scheduled_runs TO :"service_role";
GRANT UPDATE (occurrence, next_at, attempts, status) ON scheduled_transfers TO :"service_role";
