-- What outbox-relay needs to be steered: pause, redrive of parked rows, replay; and to keep its place in idempotent mode.
-- psql variables: service_role, relay_role.

-- In which order rows were parked is the order in which they will be published. `redrive` is the number of the request to publish
-- them after all.
ALTER TABLE outbox_parked
    ADD COLUMN position bigint GENERATED ALWAYS AS IDENTITY,
    ADD COLUMN event_id text,
    ADD COLUMN redrive  bigint,
    ALTER COLUMN payload DROP NOT NULL;                      -- a tombstone
CREATE INDEX outbox_parked_redrive ON outbox_parked (redrive, position) WHERE redrive IS NOT NULL;

-- One row for each source that is published from this database. The relay makes it; whoever may steer the relay changes it.
CREATE TABLE outbox_relay (
    source         text   PRIMARY KEY,                       -- with the topic prefix, as the lease
    epoch          bigint NOT NULL DEFAULT 0,                -- one more for each relay that took over
    position       bytea,                                    -- idempotent mode: penstock.bus.v1.OutboxPosition
    paused         boolean NOT NULL DEFAULT false,
    redrive        bigint NOT NULL DEFAULT 0,                -- requests so far; see outbox_parked.redrive
    replay         bigint NOT NULL DEFAULT 0,                -- requests so far; the last one:
    replay_from_id bigint,                                   -- rows from this id on, or
    replay_from    timestamptz,                              -- rows written at or after this time
    changed_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

GRANT SELECT ON outbox_relay TO :"service_role";
GRANT SELECT, INSERT, UPDATE ON outbox_relay TO :"relay_role";
GRANT UPDATE (reason, redrive) ON outbox_parked TO :"relay_role";
