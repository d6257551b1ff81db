-- The only truth about money and orders. psql variable: service_role.
-- All amounts are integers in the asset's minor unit; prices in ticks, quantities in lots.
-- Hot tables carry no foreign keys: each would cost a look-up and a shared lock a row, and the service checks against its own
-- copy of markets before it writes. Ids come from sequences (CACHE 1) that the service reads before it decides.

CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'EB002';
END
$$;

-- Called by a trigger whose WHEN clause says what may not happen: costs nothing while it does not happen.
CREATE FUNCTION forbidden_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%: %', TG_TABLE_NAME, TG_ARGV[0] USING ERRCODE = 'EB003';
END
$$;

-- Ends the transaction as a serialisation failure, which is retried, when a row that was expected to be new was there already.
CREATE FUNCTION retry_unless(p_ok boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT p_ok THEN
        RAISE EXCEPTION 'overtaken by a concurrent transaction' USING ERRCODE = 'serialization_failure';
    END IF;
END
$$;

CREATE TABLE assets (
    id        smallint PRIMARY KEY CHECK (id > 0),
    code      text     NOT NULL UNIQUE CHECK (code ~ '^[A-Z0-9]{2,12}$'),
    scale     smallint NOT NULL CHECK (scale BETWEEN 0 AND 18),
    published boolean  NOT NULL DEFAULT false     -- to assets.v1
);
CREATE TRIGGER assets_never_change BEFORE UPDATE ON assets FOR EACH ROW
    WHEN ((OLD.id, OLD.code, OLD.scale) IS DISTINCT FROM (NEW.id, NEW.code, NEW.scale))
    EXECUTE FUNCTION forbidden_change('an asset never changes');

CREATE TABLE markets (
    id                    smallint PRIMARY KEY CHECK (id > 0),
    symbol                text     NOT NULL UNIQUE CHECK (symbol ~ '^[A-Z0-9]{2,12}-[A-Z0-9]{2,12}$'),
    base_asset_id         smallint NOT NULL REFERENCES assets,
    quote_asset_id        smallint NOT NULL REFERENCES assets,
    tick_size             text     NOT NULL,   -- decimal, quote per base
    lot_size              text     NOT NULL,   -- decimal, base
    lot_minor             bigint   NOT NULL CHECK (lot_minor > 0),
    notional_unit_minor   bigint   NOT NULL CHECK (notional_unit_minor > 0),
    min_quantity_lots     bigint   NOT NULL DEFAULT 1 CHECK (min_quantity_lots > 0),
    max_quantity_lots     bigint   NOT NULL CHECK (max_quantity_lots >= min_quantity_lots),
    max_price_ticks       bigint   NOT NULL CHECK (max_price_ticks > 0),
    maker_fee_ppm         integer  NOT NULL CHECK (maker_fee_ppm BETWEEN 0 AND 100000),
    taker_fee_ppm         integer  NOT NULL CHECK (taker_fee_ppm BETWEEN 0 AND 100000),
    fee_ceiling_ppm       integer  NOT NULL DEFAULT 0,   -- the highest fee this market ever had; kept by trigger
    market_band_ppm       integer  NOT NULL CHECK (market_band_ppm BETWEEN 0 AND 1000000),
    reference_price_ticks bigint   NOT NULL DEFAULT 0 CHECK (reference_price_ticks >= 0),
    status                smallint NOT NULL DEFAULT 1 CHECK (status BETWEEN 1 AND 3),  -- penstock.markets.v1.MarketStatus
    version               bigint   NOT NULL DEFAULT 1,   -- grows with each change; kept by trigger
    published_version     bigint   NOT NULL DEFAULT 0,   -- what markets.v1 and orders.accepted.v1 have been told
    CHECK (base_asset_id <> quote_asset_id),
    CHECK (published_version <= version)
);
CREATE TRIGGER markets_keep_their_units BEFORE UPDATE ON markets FOR EACH ROW
    WHEN ((OLD.id, OLD.symbol, OLD.base_asset_id, OLD.quote_asset_id, OLD.tick_size, OLD.lot_size, OLD.lot_minor,
           OLD.notional_unit_minor)
          IS DISTINCT FROM (NEW.id, NEW.symbol, NEW.base_asset_id, NEW.quote_asset_id, NEW.tick_size, NEW.lot_size,
           NEW.lot_minor, NEW.notional_unit_minor))
    EXECUTE FUNCTION forbidden_change('tick, lot and what follows from them never change');

CREATE FUNCTION markets_versioned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.fee_ceiling_ppm := greatest(NEW.maker_fee_ppm, NEW.taker_fee_ppm);
    IF TG_OP = 'UPDATE' THEN
        NEW.fee_ceiling_ppm := greatest(NEW.fee_ceiling_ppm, OLD.fee_ceiling_ppm);
        IF (OLD.min_quantity_lots, OLD.max_quantity_lots, OLD.max_price_ticks, OLD.maker_fee_ppm, OLD.taker_fee_ppm,
            OLD.market_band_ppm, OLD.reference_price_ticks, OLD.status)
           IS DISTINCT FROM (NEW.min_quantity_lots, NEW.max_quantity_lots, NEW.max_price_ticks, NEW.maker_fee_ppm,
            NEW.taker_fee_ppm, NEW.market_band_ppm, NEW.reference_price_ticks, NEW.status) THEN
            NEW.version := OLD.version + 1;
        END IF;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER markets_versioned BEFORE INSERT OR UPDATE ON markets
    FOR EACH ROW EXECUTE FUNCTION markets_versioned();

-- How far a market's postings are booked. Apart from markets because it changes with every trade. No row: nothing yet.
CREATE TABLE market_progress (
    market_id        smallint PRIMARY KEY REFERENCES markets,
    last_posting_seq bigint NOT NULL,              -- booked gaplessly up to here
    last_seq         bigint NOT NULL,              -- the engine's sequence of that posting
    last_trade_id    bigint NOT NULL DEFAULT 0,
    last_price_ticks bigint NOT NULL DEFAULT 0,    -- of the last booked trade; 0: none yet
    dead_posting_seq bigint NOT NULL DEFAULT 0     -- the last dead-lettered: what comes after it waits with it
) WITH (fillfactor = 20);

-- kind: penstock.ledger.v1.AccountKind. Accounts are made when first needed.
CREATE TABLE accounts (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner_id  bigint   NOT NULL,
    kind      smallint NOT NULL CHECK (kind BETWEEN 1 AND 5),
    asset_id  smallint NOT NULL REFERENCES assets,
    available bigint   NOT NULL DEFAULT 0,
    held      bigint   NOT NULL DEFAULT 0 CHECK (held >= 0),
    UNIQUE (owner_id, kind, asset_id),
    CHECK ((kind = 1) = (owner_id > 0)),
    CHECK (kind = 1 OR owner_id = 0),
    CHECK (kind <> 1 OR available >= 0)
) WITH (fillfactor = 70);

-- One journal: one thing that happened to money. Its entries sum to zero per asset.
CREATE TABLE journals (
    id         bigint      PRIMARY KEY,
    kind       smallint    NOT NULL,        -- penstock.ledger.v1.JournalKind
    reference  text        NOT NULL,        -- 'order:17', 'trade:BTC-USD:4', 'topup:9'
    posted_at  timestamptz NOT NULL,
    UNIQUE (reference, kind)
);
CREATE SEQUENCE journals_id_seq OWNED BY journals.id;

CREATE TABLE entries (
    id              bigint   PRIMARY KEY,
    journal_id      bigint   NOT NULL,
    account_id      bigint   NOT NULL,
    asset_id        smallint NOT NULL,
    available_delta bigint   NOT NULL,
    held_delta      bigint   NOT NULL,
    available_after bigint   NOT NULL,
    held_after      bigint   NOT NULL
);
CREATE SEQUENCE entries_id_seq OWNED BY entries.id;
CREATE INDEX entries_account ON entries (account_id, id);
CREATE INDEX entries_journal ON entries (journal_id);

-- Append-only: a change raises, whoever tries.
CREATE TRIGGER entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER journals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journals
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- Enumerations are those of penstock.orders.v1.
CREATE TABLE orders (
    id               bigint      PRIMARY KEY,
    user_id          bigint      NOT NULL CHECK (user_id > 0),
    market_id        smallint    NOT NULL,
    side             smallint    NOT NULL CHECK (side IN (1, 2)),
    type             smallint    NOT NULL CHECK (type BETWEEN 1 AND 4),
    time_in_force    smallint    NOT NULL CHECK (time_in_force BETWEEN 1 AND 4),
    post_only        boolean     NOT NULL,
    price_ticks      bigint      NOT NULL CHECK (price_ticks > 0),     -- a market order's protection limit
    quantity_lots    bigint      NOT NULL CHECK (quantity_lots > 0),
    filled_lots      bigint      NOT NULL DEFAULT 0,
    held_minor       bigint      NOT NULL CHECK (held_minor >= 0),     -- what is still set aside
    status           smallint    NOT NULL CHECK (status BETWEEN 1 AND 6),
    reason           smallint    NOT NULL DEFAULT 0,                   -- CancelReason, once closed
    cancel_requested boolean     NOT NULL DEFAULT false,               -- passed on to the engine
    client_order_id  text,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    CHECK (filled_lots BETWEEN 0 AND quantity_lots),
    CHECK ((status = 3) = (filled_lots = quantity_lots)),              -- filled
    CHECK (status <> 5 OR filled_lots = 0),                            -- rejected
    CHECK (status IN (1, 2) OR held_minor = 0)                         -- closed: nothing is set aside
) WITH (fillfactor = 80);
CREATE SEQUENCE orders_id_seq OWNED BY orders.id;
CREATE UNIQUE INDEX orders_client_order_id ON orders (user_id, client_order_id) WHERE client_order_id IS NOT NULL;
CREATE INDEX orders_user ON orders (user_id, id);
CREATE INDEX orders_open ON orders (market_id, id) WHERE status IN (1, 2);

CREATE TRIGGER orders_state_machine BEFORE UPDATE ON orders FOR EACH ROW
    WHEN (OLD.status NOT IN (1, 2)                                     -- final is final
          OR (OLD.status = 2 AND NEW.status IN (1, 5))                 -- what has fills is not untouched, nor rejected
          OR NEW.filled_lots < OLD.filled_lots
          OR NEW.held_minor > OLD.held_minor
          OR (OLD.cancel_requested AND NOT NEW.cancel_requested)
          OR (OLD.id, OLD.user_id, OLD.market_id, OLD.side, OLD.type, OLD.time_in_force, OLD.post_only, OLD.price_ticks,
              OLD.quantity_lots, OLD.client_order_id)
             IS DISTINCT FROM (NEW.id, NEW.user_id, NEW.market_id, NEW.side, NEW.type, NEW.time_in_force, NEW.post_only,
              NEW.price_ticks, NEW.quantity_lots, NEW.client_order_id))
    EXECUTE FUNCTION forbidden_change('not a step of the order state machine');

-- Executions, both sides of each.
CREATE TABLE trades (
    id             bigint      PRIMARY KEY,    -- over all markets, as booked
    market_id      smallint    NOT NULL,
    trade_id       bigint      NOT NULL,       -- the engine's, per market
    price_ticks    bigint      NOT NULL,
    quantity_lots  bigint      NOT NULL,
    taker_side     smallint    NOT NULL,
    maker_order_id bigint      NOT NULL,
    taker_order_id bigint      NOT NULL,
    maker_user_id  bigint      NOT NULL,
    taker_user_id  bigint      NOT NULL,
    maker_fee      bigint      NOT NULL,       -- minor units of what the maker received
    taker_fee      bigint      NOT NULL,
    executed_at    timestamptz NOT NULL,
    UNIQUE (market_id, trade_id)
);
CREATE SEQUENCE trades_id_seq OWNED BY trades.id;
CREATE INDEX trades_maker ON trades (maker_user_id, id);
CREATE INDEX trades_taker ON trades (taker_user_id, id);

CREATE TABLE topups (
    id         bigint      PRIMARY KEY,
    user_id    bigint      NOT NULL CHECK (user_id > 0),
    asset_id   smallint    NOT NULL,
    amount     bigint      NOT NULL CHECK (amount > 0),
    reference  text,
    created_at timestamptz NOT NULL
);
CREATE SEQUENCE topups_id_seq OWNED BY topups.id;
CREATE INDEX topups_user ON topups (user_id, id);

GRANT SELECT ON assets, markets TO :"service_role";
GRANT UPDATE (published) ON assets TO :"service_role";
GRANT UPDATE (published_version) ON markets TO :"service_role";
GRANT SELECT, INSERT, UPDATE ON market_progress TO :"service_role";
GRANT SELECT, INSERT ON accounts, orders, journals, entries, trades, topups TO :"service_role";
GRANT UPDATE (available, held) ON accounts TO :"service_role";
GRANT UPDATE (filled_lots, held_minor, status, reason, cancel_requested, updated_at) ON orders TO :"service_role";
GRANT USAGE ON SEQUENCE journals_id_seq, entries_id_seq, orders_id_seq, trades_id_seq, topups_id_seq TO :"service_role";
