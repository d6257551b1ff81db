-- A day of each account: $1 accounts, $2 days, $3 balances, $4 rates, $5 day counts, $6 accrued and $7 remainders after it. That a day
-- comes after the one before it is checked: whoever was overtaken begins again.
WITH n AS (
    SELECT account_id, date '1970-01-01' + day AS day, balance, rate_ppb, day_count, accrued_minor, remainder
      FROM unnest($1::int8[], $2::int4[], $3::int8[], $4::int8[], $5::int4[], $6::int8[], $7::int8[])
           AS u(account_id, day, balance, rate_ppb, day_count, accrued_minor, remainder)),
days AS (
    INSERT INTO interest_accruals (account_id, day, balance_minor, rate_ppb, day_count, accrued_minor, remainder)
    SELECT * FROM n WHERE n.balance > 0 AND n.rate_ppb > 0),
moved AS (
    INSERT INTO interest_accounts AS i (account_id, accrued_until, accrued_minor, remainder)
    SELECT account_id, day, accrued_minor, remainder FROM n
        ON CONFLICT (account_id) DO UPDATE
       SET accrued_until = excluded.accrued_until, accrued_minor = excluded.accrued_minor, remainder = excluded.remainder
     WHERE i.accrued_until = excluded.accrued_until - 1
    RETURNING 1)
SELECT retry_unless((SELECT count(*) FROM moved) = (SELECT count(*) FROM n))
