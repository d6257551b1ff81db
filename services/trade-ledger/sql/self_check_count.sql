-- How many differences there are.
SELECT count(*)::int8 FROM self_check_differences
