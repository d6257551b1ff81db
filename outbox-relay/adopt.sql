-- adopt.sql -- makes an outbox table that is already there ready for outbox-relay, and a role that can do what the relay must and
-- nothing else. The application needs no change. Safe to run twice.
--
--   psql "$DATABASE" -v table=public.outbox -v relay_role=shop_relay -f adopt.sql
--
-- Rows that are in the table now are taken to be published; with -v backlog=1 they are published too. The table is rewritten once.
-- The role is made without a password if it is missing: ALTER ROLE … PASSWORD, or pg_hba.conf, is yours.
\set ON_ERROR_STOP on
\if :{?backlog} \else \set backlog 0 \endif
BEGIN;
SELECT format('CREATE ROLE %I LOGIN', :'relay_role') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'relay_role') \gexec

-- Which transaction wrote a row, and in which order rows were written.
\if :backlog
ALTER TABLE :table ADD COLUMN IF NOT EXISTS xid xid8 DEFAULT pg_current_xact_id();
\else
ALTER TABLE :table ADD COLUMN IF NOT EXISTS xid xid8;
ALTER TABLE :table ALTER COLUMN xid SET DEFAULT pg_current_xact_id();
\endif
ALTER TABLE :table ADD COLUMN IF NOT EXISTS relay_order bigint GENERATED ALWAYS AS IDENTITY (CACHE 1);
CREATE INDEX IF NOT EXISTS outbox_relay_xid ON :table (xid);
CREATE UNIQUE INDEX IF NOT EXISTS outbox_relay_order ON :table (relay_order);

-- Rows come and go by the million: vacuum early, and do not sleep over it.
SELECT format('ALTER TABLE %s SET (autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0)',
              oid::regclass) FROM pg_class WHERE oid = :'table'::regclass AND relkind = 'r' \gexec

-- The relay's own tables: rows that Kafka refused, and what is asked of the relay.
CREATE TABLE IF NOT EXISTS outbox_parked (
    id          bigint      PRIMARY KEY,
    topic       text        NOT NULL,
    key         bytea,
    type        text        NOT NULL,
    payload     bytea,
    traceparent text,
    headers     text[],
    created_at  timestamptz NOT NULL,
    reason      text        NOT NULL,
    whole_topic boolean     NOT NULL,
    parked_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    position    bigint      GENERATED ALWAYS AS IDENTITY,
    event_id    text,
    redrive     bigint
);
CREATE INDEX IF NOT EXISTS outbox_parked_key ON outbox_parked (topic, key);
CREATE INDEX IF NOT EXISTS outbox_parked_redrive ON outbox_parked (redrive, position) WHERE redrive IS NOT NULL;
CREATE TABLE IF NOT EXISTS outbox_relay (
    source         text    PRIMARY KEY,
    epoch          bigint  NOT NULL DEFAULT 0,
    position       bytea,
    paused         boolean NOT NULL DEFAULT false,
    redrive        bigint  NOT NULL DEFAULT 0,
    replay         bigint  NOT NULL DEFAULT 0,
    replay_from_id bigint,
    replay_from    timestamptz,
    changed_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

SELECT format('GRANT USAGE ON SCHEMA %I TO %I', n.nspname, :'relay_role')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = :'table'::regclass \gexec
GRANT SELECT, DELETE ON :table TO :"relay_role";
GRANT SELECT, INSERT, DELETE ON outbox_parked TO :"relay_role";
GRANT UPDATE (reason, redrive) ON outbox_parked TO :"relay_role";
GRANT SELECT, INSERT, UPDATE ON outbox_relay TO :"relay_role";
COMMIT;
