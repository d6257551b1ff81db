-- What operators have changed of accounts. $1 accounts, $2 by whom, $3 statuses, $4 overdrafts, $5 reasons, $6 time in microseconds.
INSERT INTO account_changes (account_id, changed_by, status, overdraft_minor, reason, changed_at)
SELECT n.account_id, n.changed_by, n.status, n.overdraft_minor, n.reason,
       timestamptz 'epoch' + $6::int8 * interval '1 microsecond'
  FROM unnest($1::int8[], $2::int8[], $3::int4[], $4::int8[], $5::text[])
       AS n(account_id, changed_by, status, overdraft_minor, reason)
