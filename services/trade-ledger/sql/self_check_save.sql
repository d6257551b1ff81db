-- $1 account, $2 pass of balances; $3 account, $4 entry, $5 and $6 balances after it, $7 pass of entries; $8 journal, $9 pass of journals.
UPDATE self_check
   SET account_id = $1::int8, balances_pass = $2::int8, entry_account_id = $3::int8, entry_id = $4::int8,
       entry_available = $5::int8, entry_held = $6::int8, entries_pass = $7::int8, journal_id = $8::int8, journals_pass = $9::int8,
       run_at = clock_timestamp()
