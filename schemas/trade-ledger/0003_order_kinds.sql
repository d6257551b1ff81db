-- Stops, icebergs, orders by quote amount, orders that expire, amendments, quotes by the mass; more limits of markets and users.
-- Columns that few orders use are NULL where they are not used: a bit each.

ALTER TABLE orders
    ADD COLUMN stop_price_ticks      bigint      CHECK (stop_price_ticks > 0),
    ADD COLUMN quote_minor           bigint      CHECK (quote_minor > 0),    -- by quote amount: to spend (buy), to receive (sell)
    ADD COLUMN display_lots          bigint      CHECK (display_lots > 0),
    ADD COLUMN expires_at            timestamptz,
    ADD COLUMN post_only_mode        smallint    CHECK (post_only_mode BETWEEN 1 AND 2),
    ADD COLUMN self_trade_prevention smallint    CHECK (self_trade_prevention BETWEEN 1 AND 4),
    ADD COLUMN quote_set             integer     CHECK (quote_set BETWEEN 1 AND 65535),
    ADD COLUMN maker_fee_ppm         integer,    -- what was promised to the engine; NULL: before there were fees by user
    ADD COLUMN taker_fee_ppm         integer,
    -- The last amendment. While it is under way (amend_status 1) what was set aside for it waits in amend_hold_minor; the
    -- engine's answer moves that into held_minor or gives it back, also when the order was closed in the meantime.
    ADD COLUMN amend_id              bigint,
    ADD COLUMN amend_status          smallint    CHECK (amend_status BETWEEN 1 AND 3),   -- requested, applied, rejected
    ADD COLUMN amend_price_ticks     bigint      CHECK (amend_price_ticks > 0),
    ADD COLUMN amend_quantity_lots   bigint      CHECK (amend_quantity_lots > 0),
    ADD COLUMN amend_hold_minor      bigint      CHECK (amend_hold_minor >= 0),
    DROP CONSTRAINT orders_quantity_lots_check,
    DROP CONSTRAINT orders_check,
    DROP CONSTRAINT orders_check1,
    ADD CHECK (quantity_lots >= 0 AND filled_lots >= 0),
    ADD CHECK (quote_minor IS NOT NULL OR filled_lots <= quantity_lots),
    ADD CHECK (quote_minor IS NOT NULL OR status <> 3 OR filled_lots = quantity_lots),
    ADD CHECK (quote_minor IS NOT NULL OR status NOT IN (1, 2) OR filled_lots < quantity_lots),
    ADD CHECK (quote_minor IS NULL OR type = 2),
    ADD CHECK ((type IN (3, 4)) = (stop_price_ticks IS NOT NULL)),
    ADD CHECK ((time_in_force = 4) = (expires_at IS NOT NULL)),
    ADD CHECK (amend_status IS NOT DISTINCT FROM 1 OR coalesce(amend_hold_minor, 0) = 0);
CREATE SEQUENCE amends_id_seq OWNED BY orders.amend_id;

-- All steps that there are. Closed is final, but for the answer to an amendment that came too late. What is set aside, for the
-- order and for its amendment, never grows but when an amendment is asked for. Price and quantity change by an amendment that was
-- asked for; the quantity also shrinks (self-trade prevention), and a post-only order's price steps back.
DROP TRIGGER orders_state_machine ON orders;
CREATE TRIGGER orders_state_machine BEFORE UPDATE ON orders FOR EACH ROW
    WHEN ((OLD.status NOT IN (1, 2) AND
           (OLD.amend_status IS DISTINCT FROM 1 OR NEW.amend_status IS NOT DISTINCT FROM 1
            OR (OLD.status, OLD.reason, OLD.filled_lots, OLD.held_minor, OLD.price_ticks, OLD.quantity_lots)
               IS DISTINCT FROM (NEW.status, NEW.reason, NEW.filled_lots, NEW.held_minor, NEW.price_ticks, NEW.quantity_lots)))
          OR (OLD.status = 2 AND NEW.status IN (1, 5))
          OR NEW.filled_lots < OLD.filled_lots
          OR (NEW.held_minor > OLD.held_minor AND NEW.held_minor > OLD.held_minor + coalesce(OLD.amend_hold_minor, 0))
          OR (NEW.amend_status IS NOT DISTINCT FROM 1 AND NEW.held_minor > OLD.held_minor)
          OR (OLD.cancel_requested AND NOT NEW.cancel_requested)
          OR (OLD.amend_status IS NOT DISTINCT FROM 1 AND
              (OLD.amend_id, OLD.amend_price_ticks, OLD.amend_quantity_lots)
              IS DISTINCT FROM (NEW.amend_id, NEW.amend_price_ticks, NEW.amend_quantity_lots))
          OR (OLD.amend_id IS NOT DISTINCT FROM NEW.amend_id AND OLD.amend_status > 1 AND NEW.amend_status <> OLD.amend_status)
          OR ((OLD.price_ticks, OLD.quantity_lots) IS DISTINCT FROM (NEW.price_ticks, NEW.quantity_lots)
              AND NOT (OLD.amend_status IS NOT DISTINCT FROM 1 AND NEW.amend_status IS NOT DISTINCT FROM 2
                       AND NEW.quantity_lots <= OLD.amend_quantity_lots
                       AND (NEW.price_ticks = OLD.amend_price_ticks
                            OR (OLD.post_only_mode IS NOT DISTINCT FROM 2
                                AND (NEW.price_ticks < OLD.amend_price_ticks) = (OLD.side = 1))))
              AND NOT (NEW.quantity_lots <= OLD.quantity_lots
                       AND (NEW.price_ticks = OLD.price_ticks
                            OR (OLD.post_only_mode IS NOT DISTINCT FROM 2
                                AND (NEW.price_ticks < OLD.price_ticks) = (OLD.side = 1)))))
          OR (OLD.id, OLD.user_id, OLD.market_id, OLD.side, OLD.type, OLD.time_in_force, OLD.post_only, OLD.client_order_id,
              OLD.stop_price_ticks, OLD.quote_minor, OLD.display_lots, OLD.expires_at, OLD.post_only_mode,
              OLD.self_trade_prevention, OLD.quote_set, OLD.maker_fee_ppm, OLD.taker_fee_ppm)
             IS DISTINCT FROM (NEW.id, NEW.user_id, NEW.market_id, NEW.side, NEW.type, NEW.time_in_force, NEW.post_only,
              NEW.client_order_id, NEW.stop_price_ticks, NEW.quote_minor, NEW.display_lots, NEW.expires_at, NEW.post_only_mode,
              NEW.self_trade_prevention, NEW.quote_set, NEW.maker_fee_ppm, NEW.taker_fee_ppm))
    EXECUTE FUNCTION forbidden_change('not a step of the order state machine');

-- A user's open orders: cancel-all, the limit of open orders, GET /orders?status=open. And what expires next.
DROP INDEX orders_open;
CREATE INDEX orders_open ON orders (user_id, id) WHERE status IN (1, 2);
CREATE INDEX orders_expiring ON orders (expires_at) WHERE status IN (1, 2) AND expires_at IS NOT NULL;

-- Markets: more limits (0: none), the auction, and the price that the band is measured from.
ALTER TABLE markets
    ADD COLUMN min_price_ticks      bigint  NOT NULL DEFAULT 0 CHECK (min_price_ticks >= 0),
    ADD COLUMN price_step_ticks     bigint  NOT NULL DEFAULT 0 CHECK (price_step_ticks >= 0),
    ADD COLUMN quantity_step_lots   bigint  NOT NULL DEFAULT 0 CHECK (quantity_step_lots >= 0),
    ADD COLUMN min_notional_minor   bigint  NOT NULL DEFAULT 0 CHECK (min_notional_minor >= 0),
    ADD COLUMN max_notional_minor   bigint  NOT NULL DEFAULT 0 CHECK (max_notional_minor >= 0),
    ADD COLUMN price_band_ppm       integer NOT NULL DEFAULT 0 CHECK (price_band_ppm BETWEEN 0 AND 1000000),
    ADD COLUMN band_price_ticks     bigint  NOT NULL DEFAULT 0 CHECK (band_price_ticks >= 0),  -- 0: none yet
    ADD COLUMN band_price_published boolean NOT NULL DEFAULT true,
    DROP CONSTRAINT markets_status_check,
    ADD CONSTRAINT markets_status_check CHECK (status BETWEEN 1 AND 4),
    ADD CHECK (min_price_ticks <= max_price_ticks),
    ADD CHECK (max_notional_minor = 0 OR max_notional_minor >= min_notional_minor);

CREATE OR REPLACE FUNCTION markets_versioned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.fee_ceiling_ppm := greatest(NEW.maker_fee_ppm, NEW.taker_fee_ppm);
    IF TG_OP = 'UPDATE' THEN
        NEW.fee_ceiling_ppm := greatest(NEW.fee_ceiling_ppm, OLD.fee_ceiling_ppm);
        IF (OLD.min_quantity_lots, OLD.max_quantity_lots, OLD.max_price_ticks, OLD.maker_fee_ppm, OLD.taker_fee_ppm,
            OLD.market_band_ppm, OLD.reference_price_ticks, OLD.status, OLD.min_price_ticks, OLD.price_step_ticks,
            OLD.quantity_step_lots, OLD.min_notional_minor, OLD.max_notional_minor, OLD.price_band_ppm)
           IS DISTINCT FROM (NEW.min_quantity_lots, NEW.max_quantity_lots, NEW.max_price_ticks, NEW.maker_fee_ppm,
            NEW.taker_fee_ppm, NEW.market_band_ppm, NEW.reference_price_ticks, NEW.status, NEW.min_price_ticks,
            NEW.price_step_ticks, NEW.quantity_step_lots, NEW.min_notional_minor, NEW.max_notional_minor, NEW.price_band_ppm) THEN
            NEW.version := OLD.version + 1;
        END IF;
        IF NEW.band_price_ticks <> OLD.band_price_ticks THEN
            NEW.band_price_published := false;
        END IF;
    END IF;
    RETURN NEW;
END
$$;

-- What the house has agreed with a user. No row, or NULL: the market's fees, the service's limits.
CREATE TABLE traders (
    user_id            bigint   PRIMARY KEY CHECK (user_id > 0),
    maker_fee_ppm      integer  CHECK (maker_fee_ppm BETWEEN 0 AND 100000),
    taker_fee_ppm      integer  CHECK (taker_fee_ppm BETWEEN 0 AND 100000),
    open_orders_max    integer  CHECK (open_orders_max >= 0),
    orders_per_s_max   integer  CHECK (orders_per_s_max >= 0),
    notional_minor_max bigint   CHECK (notional_minor_max >= 0),   -- of one order, in its quote asset
    CHECK ((maker_fee_ppm IS NULL) = (taker_fee_ppm IS NULL))
) WITH (fillfactor = 80);

-- Whoever is blocked in a market. The engine is told of each change; the row stays.
CREATE TABLE kill_switches (
    user_id   bigint   NOT NULL CHECK (user_id > 0),
    market_id smallint NOT NULL REFERENCES markets,
    engaged   boolean  NOT NULL,
    published boolean  NOT NULL DEFAULT false,
    PRIMARY KEY (user_id, market_id)
);
CREATE INDEX kill_switches_unpublished ON kill_switches (user_id) WHERE NOT published;

-- Cancel everything of a user at that time unless he is heard of again.
CREATE TABLE dead_man_switches (
    user_id   bigint      PRIMARY KEY CHECK (user_id > 0),
    timeout_s integer     NOT NULL CHECK (timeout_s > 0),
    fires_at  timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX dead_man_switches_due ON dead_man_switches (fires_at);

-- Until when each market's engine has been told that time passes, for orders that expire.
ALTER TABLE market_progress ADD COLUMN ticked_until timestamptz;

-- ---- For operators: by psql, or `penstock market …` and `penstock user …`. A change is published within a second. ----

CREATE FUNCTION market_id_of(p_symbol text) RETURNS smallint LANGUAGE plpgsql STABLE AS $$
DECLARE
    found_id smallint;
BEGIN
    SELECT id INTO found_id FROM markets WHERE symbol = p_symbol;
    IF found_id IS NULL THEN
        RAISE EXCEPTION 'there is no market %', p_symbol USING ERRCODE = 'EB004';
    END IF;
    RETURN found_id;
END
$$;

-- open, halted, cancel_only, auction
CREATE FUNCTION market_control(p_symbol text, p_status text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    wanted smallint := array_position(ARRAY['open', 'halted', 'cancel_only', 'auction'], p_status);
BEGIN
    IF wanted IS NULL THEN
        RAISE EXCEPTION 'a market is open, halted, cancel_only or auction, not %', p_status USING ERRCODE = 'EB004';
    END IF;
    UPDATE markets SET status = wanted WHERE id = market_id_of(p_symbol);
END
$$;

-- The price that the price band is measured from, in ticks.
CREATE FUNCTION market_reference(p_symbol text, p_price_ticks bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_price_ticks IS NULL OR p_price_ticks <= 0 THEN
        RAISE EXCEPTION 'a reference price is at least one tick' USING ERRCODE = 'EB004';
    END IF;
    UPDATE markets SET band_price_ticks = p_price_ticks, band_price_published = false WHERE id = market_id_of(p_symbol);
END
$$;

-- p_symbol NULL: in every market.
CREATE FUNCTION kill_switch(p_user_id bigint, p_symbol text, p_engaged boolean) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    changed bigint;
BEGIN
    INSERT INTO kill_switches AS k (user_id, market_id, engaged)
    SELECT p_user_id, m.id, p_engaged FROM markets m
     WHERE p_symbol IS NULL OR m.id = market_id_of(p_symbol)
        ON CONFLICT (user_id, market_id) DO UPDATE SET engaged = excluded.engaged, published = false
     WHERE k.engaged <> excluded.engaged;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END
$$;

REVOKE EXECUTE ON FUNCTION market_control, market_reference, kill_switch FROM PUBLIC;
GRANT SELECT ON traders, kill_switches TO :"service_role";
GRANT UPDATE (published) ON kill_switches TO :"service_role";
GRANT UPDATE (band_price_published) ON markets TO :"service_role";
GRANT SELECT, INSERT, UPDATE, DELETE ON dead_man_switches TO :"service_role";
GRANT UPDATE (price_ticks, quantity_lots, amend_id, amend_status, amend_price_ticks, amend_quantity_lots, amend_hold_minor)
    ON orders TO :"service_role";
GRANT USAGE ON SEQUENCE amends_id_seq TO :"service_role";
