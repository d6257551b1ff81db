-- What was accrued is booked. $1 accounts.
UPDATE interest_accounts SET accrued_minor = 0 WHERE account_id = ANY ($1::int8[])
