-- How far the self-check has come; no row: another process is at it.
SELECT account_id, balances_pass, entry_account_id, entry_id, entry_available, entry_held, entries_pass, journal_id, journals_pass
  FROM self_check
   FOR UPDATE SKIP LOCKED
