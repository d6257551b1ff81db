-- The only truth about money and orders. psql variable: service_role.
-- All amounts are integers in the asset's minor unit; prices in ticks, quantities in lots.

CREATE TABLE assets (
    id    smallint PRIMARY KEY CHECK (id > 0),
    code  text     NOT NULL UNIQUE CHECK (code ~ '^[A-Z0-9]{2,12}$'),
    scale smallint NOT NULL CHECK (scale BETWEEN 0 AND 18)
);

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
    max_quantity_lots     bigint   NOT NULL,
    max_price_ticks       bigint   NOT NULL,
    maker_fee_ppm         integer  NOT NULL CHECK (maker_fee_ppm BETWEEN 0 AND 100000),
    taker_fee_ppm         integer  NOT NULL CHECK (taker_fee_ppm BETWEEN 0 AND 100000),
    market_band_ppm       integer  NOT NULL CHECK (market_band_ppm BETWEEN 0 AND 1000000),
    reference_price_ticks bigint   NOT NULL DEFAULT 0,
    last_price_ticks      bigint   NOT NULL DEFAULT 0,   -- of the last booked trade; 0: none yet
    last_posting_seq      bigint   NOT NULL DEFAULT 0,   -- the engine's postings are booked gaplessly
    status                smallint NOT NULL DEFAULT 1,   -- penstock.markets.v1.MarketStatus
    CHECK (base_asset_id <> quote_asset_id)
);

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
    CHECK (kind <> 1 OR available >= 0)
) WITH (fillfactor = 70);

-- One journal: one thing that happened to money. Its entries sum to zero per asset.
CREATE TABLE journals (
    id         bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    kind       smallint    NOT NULL,        -- penstock.ledger.v1.JournalKind
    reference  text        NOT NULL,        -- 'order:17', 'trade:BTC-USD:4', 'topup:9'
    posted_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (reference, kind)
);

CREATE TABLE entries (
    id              bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    journal_id      bigint   NOT NULL,
    account_id      bigint   NOT NULL,
    asset_id        smallint NOT NULL,
    available_delta bigint   NOT NULL,
    held_delta      bigint   NOT NULL,
    available_after bigint   NOT NULL,
    held_after      bigint   NOT NULL
);
CREATE INDEX entries_account ON entries (account_id, id);
CREATE INDEX entries_journal ON entries (journal_id);

-- Append-only: a change raises, whoever tries.
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'EB002';
END
$$;
CREATE TRIGGER entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER journals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journals
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- Enumerations are those of penstock.orders.v1.
CREATE TABLE orders (
    id              bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    user_id         bigint      NOT NULL CHECK (user_id > 0),
    market_id       smallint    NOT NULL REFERENCES markets,
    side            smallint    NOT NULL CHECK (side IN (1, 2)),
    type            smallint    NOT NULL,
    time_in_force   smallint    NOT NULL,
    post_only       boolean     NOT NULL DEFAULT false,
    price_ticks     bigint      NOT NULL CHECK (price_ticks > 0),     -- a market order's protection limit
    quantity_lots   bigint      NOT NULL CHECK (quantity_lots > 0),
    filled_lots     bigint      NOT NULL DEFAULT 0,
    held_minor      bigint      NOT NULL CHECK (held_minor >= 0),     -- what is still set aside
    status          smallint    NOT NULL DEFAULT 1,
    reason          smallint    NOT NULL DEFAULT 0,                   -- CancelReason, once closed
    client_order_id text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CHECK (filled_lots BETWEEN 0 AND quantity_lots)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX orders_client_order_id ON orders (user_id, client_order_id) WHERE client_order_id IS NOT NULL;
CREATE INDEX orders_user ON orders (user_id, id);
CREATE INDEX orders_open ON orders (market_id, id) WHERE status IN (1, 2);

-- Executions, both sides of each.
CREATE TABLE trades (
    market_id      smallint    NOT NULL REFERENCES markets,
    trade_id       bigint      NOT NULL,
    price_ticks    bigint      NOT NULL,
    quantity_lots  bigint      NOT NULL,
    taker_side     smallint    NOT NULL,
    maker_order_id bigint      NOT NULL,
    taker_order_id bigint      NOT NULL,
    maker_user_id  bigint      NOT NULL,
    taker_user_id  bigint      NOT NULL,
    maker_fee      bigint      NOT NULL,
    taker_fee      bigint      NOT NULL,
    executed_at    timestamptz NOT NULL,
    PRIMARY KEY (market_id, trade_id)
);
CREATE INDEX trades_maker ON trades (maker_user_id, executed_at);
CREATE INDEX trades_taker ON trades (taker_user_id, executed_at);

CREATE TABLE topups (
    id         bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
    user_id    bigint      NOT NULL CHECK (user_id > 0),
    asset_id   smallint    NOT NULL REFERENCES assets,
    amount     bigint      NOT NULL CHECK (amount > 0),
    reference  text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX topups_user ON topups (user_id, id);

GRANT SELECT ON assets TO :"service_role";
GRANT SELECT, UPDATE ON markets TO :"service_role";
GRANT SELECT, INSERT, UPDATE ON accounts, orders TO :"service_role";
GRANT SELECT, INSERT ON journals, entries, trades, topups TO :"service_role";
