#!/usr/bin/env bash
# Markets under control while the system runs, from the command line: a market added without a restart, halted, cancel-only, an auction
# that uncrosses at one price, the price band, the kill switch.
# shellcheck disable=SC2154  # what is not set here is lib's
. "$(dirname "$0")/lib"
system_up

place() { # SIDE PRICE QUANTITY: sets order, status
    api POST /api/orders "{\"symbol\":\"DOGE-USD\",\"side\":\"$1\",\"type\":\"limit\",\"price\":\"$2\",\"quantity\":\"$3\"}" "$(new_key)"
    order=$(jq -r .order_id <<<"$reply")
}
problem() { jq -r '.type | ltrimstr("urn:penstock:problem:")' <<<"$reply"; }
settled() { # NAME COMMAND…
    local name=$1
    shift
    if eventually 60 "$@"; then pass "$name"; else fail "$name" "$reply" "$(curl -sS "$url/api/markets")"; fi
}
market() { curl -sS "$url/api/markets" | jq -r ".markets[] | select(.symbol == \"DOGE-USD\") | .$1"; }
market_is() { [ "$(market "$1")" = "$2" ]; }
engine_is() { [ "$(curl -sS "http://127.0.0.1:$MATCHING_ENGINE_PORT/internal/markets/DOGE-USD/book" | jq -r .status)" = "$1" ]; }
refused_with() { [ "$1" = "$status $(problem)" ]; } # the ledger's copy of the market follows within a second
place_is() { place "$2" "$3" "$4"; refused_with "$1"; }
accepts() { place "$@"; [ "$status" = 201 ]; }
processes() { penstock status --json | jq -c '[.[].pid]'; }

before=$(processes)
user buyer; buyer=$token buyer_id=$user_id
api POST /api/fund/topup '{"currency":"USD","amount":"100000"}' "$(new_key)"

# ---- a new market ----
expect 'a market of an asset that is not there is refused' 1 "$(penstock market add DOGE USD --tick 0.0001 --lot 0.01 >/dev/null 2>&1; echo $?)"
succeeds 'an asset is added' penstock asset add DOGE 8 crypto
expect 'tick × lot must be whole minor units' 1 "$(penstock market add DOGE USD --tick 0.0001 --lot 0.0000001 >/dev/null 2>&1; echo $?)"
succeeds 'and a market of it' penstock market add DOGE USD --tick 0.0001 --lot 0.01 --maker-fee 0 --taker-fee 0
expect 'the same again is refused' 1 "$(penstock market add DOGE USD --tick 0.0001 --lot 0.01 >/dev/null 2>&1; echo $?)"
settled 'everybody sees it' market_is status open
user seller; seller=$token
api POST /api/fund/topup '{"currency":"DOGE","amount":"100000"}' "$(new_key)"
place sell 0.1000 100; maker=$order
token=$buyer; place buy 0.1000 100
settled 'it trades' status_is "$order" filled

# ---- halted, cancel-only, open ----
token=$seller; place sell 0.2000 10; resting=$order
for halt in halted cancel_only; do
    succeeds "$halt" penstock market status DOGE-USD "$halt"
    settled "$halt: the engine knows" engine_is "$halt"
    settled "$halt: orders are refused" place_is '422 market-not-open' buy 0.2000 10
    expect "$halt: the book is kept" accepted "$(order_status "$resting")"
done
api DELETE "/api/orders/$resting"
settled 'cancels are not' status_is "$resting" cancelled
succeeds 'it is opened' penstock market status DOGE-USD open
settled 'and takes orders' accepts sell 0.3000 10
expect 'a status that is none is refused' 1 "$(penstock market status DOGE-USD shut >/dev/null 2>&1; echo $?)"
expect 'and so is a market that is none' 1 "$(penstock market status NO-USD open >/dev/null 2>&1; echo $?)"

# ---- an auction ----
succeeds 'an auction is called' penstock market status DOGE-USD auction
settled 'the engine knows' engine_is auction
settled 'and everybody else' market_is status auction
token=$seller; place sell 0.1500 50; ask=$order
token=$buyer; place buy 0.1700 80; bid=$order
sleep 1
expect 'orders rest, though they cross' 'accepted accepted' "$(order_status "$bid") $(token=$seller; order_status "$ask")"
succeeds 'it is opened' penstock market status DOGE-USD open
settled 'both have traded' status_is "$bid" partially_filled
token=$seller; settled 'at one price' status_is "$ask" filled
within() { [ "$(curl -sS "$url/api/markets/DOGE-USD/trades" | jq '.trades[0].price | tonumber | . >= 0.15 and . <= 0.17')" = true ]; }
settled 'within the two' within

# ---- the price band ----
succeeds 'a band is set' penstock market set DOGE-USD --band 100000
succeeds 'and what it is measured from' penstock market reference DOGE-USD 0.1500
expect 'a price between two ticks is refused' 1 "$(penstock market reference DOGE-USD 0.15001 >/dev/null 2>&1; echo $?)"
outside() { place buy 0.0100 10; [ "$status" = 422 ] || eventually 5 status_is "$order" rejected; }
token=$buyer; settled 'an order outside the band is refused' outside
settled 'one inside is not' accepts buy 0.1450 10
inside=$order

# ---- the kill switch ----
succeeds 'a user is shut out' penstock market kill "$buyer_id"
settled 'his orders are cancelled' status_is "$inside" cancelled
shut_out() { place buy 0.1450 10; [ "$status" != 201 ] || eventually 5 status_is "$order" rejected; }
settled 'and new ones refused' shut_out
token=$seller; settled 'others trade on' accepts sell 0.1600 10
token=$buyer
succeeds 'he is let in again' penstock market kill "$buyer_id" --off
let_in() { place buy 0.1450 10 && [ "$status" = 201 ] && sleep 1 && status_is "$order" accepted; }
settled 'and trades' let_in

expect 'no process was restarted' "$before" "$(processes)"
if eventually 60 all_agree; then pass 'the log, the database and the engine agree'; else fail 'the log, the database and the engine agree' "$(penstock verify 2>&1)"; fi
