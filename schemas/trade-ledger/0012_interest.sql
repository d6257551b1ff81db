-- Interest on what users have: accrued for each day that has ended, by the balance at its end (UTC), and booked at the end of each
-- month from the house's account. One rule for each asset; the one with the latest first day that has come holds, and ends the
-- one before it. A rate of 0 ends interest.
CREATE TABLE interest_products (
    asset_id  smallint NOT NULL REFERENCES assets,
    first_day date     NOT NULL,
    rate_ppb  bigint   NOT NULL CHECK (rate_ppb BETWEEN 0 AND 1000000000),   -- a year; 50,000,000 is 5 %
    day_count smallint NOT NULL CHECK (day_count BETWEEN 1 AND 4),           -- ACT/365, ACT/360, 30E/360, ACT/ACT
    PRIMARY KEY (asset_id, first_day)
);

-- How far each account is. remainder: of the next minor unit, in parts of 1,603,080,000,000,000 (interest.h).
CREATE TABLE interest_accounts (
    account_id    bigint PRIMARY KEY,
    accrued_until date   NOT NULL,
    accrued_minor bigint NOT NULL CHECK (accrued_minor >= 0),   -- not yet booked
    remainder     bigint NOT NULL CHECK (remainder BETWEEN 0 AND 1603079999999999)
) WITH (fillfactor = 70);

-- Each day that earned something, once.
CREATE TABLE interest_accruals (
    account_id    bigint   NOT NULL,
    day           date     NOT NULL,
    balance_minor bigint   NOT NULL,
    rate_ppb      bigint   NOT NULL,
    day_count     smallint NOT NULL,
    accrued_minor bigint   NOT NULL,   -- after it
    remainder     bigint   NOT NULL,
    PRIMARY KEY (account_id, day)
);
CREATE TRIGGER interest_accruals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON interest_accruals
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- For operators: interest_set('USD', 4.25, 'ACT/360', '2026-12-01'). Days that have been accrued stay as they are.
CREATE FUNCTION interest_set(p_asset text, p_percent numeric, p_day_count text, p_first_day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    counted smallint := array_position(ARRAY['ACT/365', 'ACT/360', '30/360', 'ACT/ACT'], p_day_count);
    asset   smallint;
BEGIN
    SELECT id INTO asset FROM assets WHERE code = p_asset;
    IF asset IS NULL OR counted IS NULL OR p_percent IS NULL OR p_percent * 10000000 <> trunc(p_percent * 10000000) THEN
        RAISE EXCEPTION 'an asset, a rate of at most 7 decimals, and ACT/365, ACT/360, 30/360 or ACT/ACT' USING ERRCODE = 'EB004';
    END IF;
    IF p_first_day <= (SELECT max(i.accrued_until) FROM interest_accounts i JOIN accounts a ON a.id = i.account_id WHERE a.asset_id = asset) THEN
        RAISE EXCEPTION 'days up to then have been accrued' USING ERRCODE = 'EB004';
    END IF;
    INSERT INTO interest_products (asset_id, first_day, rate_ppb, day_count) VALUES (asset, p_first_day, p_percent * 10000000, counted)
        ON CONFLICT (asset_id, first_day) DO UPDATE SET rate_ppb = excluded.rate_ppb, day_count = excluded.day_count;
END
$$;
REVOKE EXECUTE ON FUNCTION interest_set FROM PUBLIC;

GRANT SELECT ON interest_products TO :"service_role";
GRANT SELECT, INSERT, UPDATE ON interest_accounts TO :"service_role";
GRANT SELECT, INSERT ON interest_accruals TO :"service_role";
