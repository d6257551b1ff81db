-- Market $1 becomes $2: open, halted, cancel_only or auction.
SELECT market_control($1::text, $2::text)::text
