#!/usr/bin/env bash
# The journey of money and orders over HTTP: sign up, top up, trade, see the trade everywhere, cancel, verify.
. "$(dirname "$0")/lib"
system_up

user seller; seller=$token
api POST /api/fund/topup '{"currency":"BTC","amount":"2"}' "$(new_key)"
expect 'a top-up is answered with 201' 201 "$status"
expect 'a top-up tells the new balance' 2 "$(jq -r .balance.available <<<"$reply")"

user buyer; buyer=$token
api POST /api/fund/topup '{"currency":"USD","amount":"100000"}' "$(new_key)"

token=$seller
api POST /api/orders '{"symbol":"BTC-USD","side":"sell","type":"limit","price":"50000.00","quantity":"1"}' "$(new_key)"
expect 'an order is answered with 201' 201 "$status"
expect 'an order is accepted' accepted "$(jq -r .status <<<"$reply")"
sell=$(jq -r .order_id <<<"$reply")
expect 'a sell holds the base asset' 1 "$(balance BTC held)"

book_has_ask() { [ "$(curl -sS "$url/api/markets/BTC-USD/book" | jq -r '.asks[0].price')" = 50000.00 ]; }
if eventually 90 book_has_ask; then pass 'the order is in the public book'; else fail 'the order is in the public book'; fi

token=$buyer
api POST /api/orders '{"symbol":"BTC-USD","side":"buy","type":"limit","price":"50010.00","quantity":"0.4"}' "$(new_key)"
buy=$(jq -r .order_id <<<"$reply")
if eventually 90 status_is "$buy" filled; then pass 'a crossing buy is filled'; else fail 'a crossing buy is filled' "$(order_status "$buy")"; fi
expect 'the buyer pays the maker'"'"'s price, nothing stays held' '80000 0' "$(balance USD available) $(balance USD held)"
expect 'the buyer receives the base less the taker fee of 0.2 %' 0.3992 "$(balance BTC available)"

token=$seller
expect 'the maker is partially filled' partially_filled "$(order_status "$sell")"
expect 'the seller receives the quote less the maker fee of 0.1 %' 19980 "$(balance USD available)"
expect 'what is left stays held' 0.6 "$(balance BTC held)"

api DELETE "/api/orders/$sell"
expect 'a cancel is answered with 202' 202 "$status"
if eventually 90 status_is "$sell" cancelled; then pass 'the order is cancelled'; else fail 'the order is cancelled'; fi
expect 'the hold is released' '1.6 0' "$(balance BTC available) $(balance BTC held)"
api DELETE "/api/orders/$sell"
expect 'a cancelled order cannot be cancelled again' 409 "$status"

token=$buyer
api POST /api/orders '{"symbol":"BTC-USD","side":"buy","type":"market","quantity":"0.1"}' "$(new_key)"
expect 'a market order is accepted' 201 "$status"
market=$(jq -r .order_id <<<"$reply")
if eventually 90 status_is "$market" cancelled; then pass 'a market order with nothing to meet is closed'; else fail 'a market order with nothing to meet is closed' "$(order_status "$market")"; fi
expect 'and holds nothing' 0 "$(balance USD held)"

public_trade() { [ "$(curl -sS "$url/api/markets/BTC-USD/trades" | jq -r '.trades[0] | "\(.price) \(.quantity) \(.taker_side)"')" = '50000.00 0.4 buy' ]; }
if eventually 90 public_trade; then pass 'the trade is public'; else fail 'the trade is public' "$(curl -sS "$url/api/markets/BTC-USD/trades")"; fi
api GET /api/trades
expect 'the trade is in the own history' 1 "$(jq '.trades | length' <<<"$reply")"
api GET /api/ledger/entries
expect 'entries are listed' true "$(jq '(.entries | length) > 3' <<<"$reply")"

trace=0af7651916cd43dd8448eb211c80319c
token=$buyer
curl -sS -o /dev/null -X POST "$url/api/orders" -H "authorization: Bearer $token" -H 'content-type: application/json' \
    -H "idempotency-key: $(new_key)" -H "traceparent: 00-$trace-b7ad6b7169203331-01" \
    -d '{"symbol":"ETH-USD","side":"buy","type":"limit","price":"10","quantity":"1","time_in_force":"IOC"}'
traced() { [ "$(penstock events tail "$1" --from beginning --until-end --json | jq -r 'select(.traceparent | contains("'$trace'")) | .type' | wc -l)" -ge 1 ]; }
for topic in orders.accepted.v1 orders.events.v1 ledger.postings.v1 ledger.entries.v1; do
    if eventually 90 traced $topic; then pass "one trace id from the request to $topic"; else fail "one trace id from the request to $topic"; fi
done

succeeds 'the log, the database and the engine agree' penstock verify
succeeds 'the running topics are those of schemas/asyncapi.yaml' env "KAFKA_BROKERS=127.0.0.1:$KAFKA_PORT" \
    "$PENSTOCK_BUILD/tools/penstock-topics" --check "$root/schemas/asyncapi.yaml"
