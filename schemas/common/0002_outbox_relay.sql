-- What outbox-relay needs beyond the table itself.
-- psql variables: service_role, relay_role.

-- The relay asks "what has committed since this snapshot": the answer must not cost a walk over rows that wait for clean-up.
CREATE INDEX outbox_xid ON outbox (xid);

-- Rows come and go by the million: vacuum early, and do not sleep over it.
ALTER TABLE outbox SET (
    autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_scale_factor = 0.5, autovacuum_analyze_scale_factor = 0.2
);

-- Rows that Kafka refuses however often they are tried, with the reason, and the later rows of their keys, which wait behind them.
-- A row that is here is never published by the relay. Deleting a key's rows gives them up and lets the key go on.
CREATE TABLE outbox_parked (
    id          bigint      PRIMARY KEY,                     -- as in outbox
    topic       text        NOT NULL,
    key         bytea,
    type        text        NOT NULL,
    payload     bytea       NOT NULL,
    traceparent text,
    headers     text[],
    created_at  timestamptz NOT NULL,
    reason      text        NOT NULL,
    whole_topic boolean     NOT NULL,                        -- the topic is unknown or forbidden: all its rows wait
    parked_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX outbox_parked_key ON outbox_parked (topic, key);

GRANT SELECT ON outbox_parked TO :"service_role";
GRANT SELECT, INSERT, DELETE ON outbox_parked TO :"relay_role";
