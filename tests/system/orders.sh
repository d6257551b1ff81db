#!/usr/bin/env bash
# Everything that can be done to orders, through the gateway and the command line: holds, idempotency, batches, amendments, cancel-all,
# the dead man's switch, limits of users, histories; commands that race with fills; ten thousand concurrent duplicates.
# shellcheck disable=SC2154,SC2030,SC2031  # what is not set here is lib's; PENSTOCK_HOME is meant to be changed in beside only
. "$(dirname "$0")/lib"
system_up

limit() { # SIDE PRICE QUANTITY [MORE]
    printf '{"symbol":"BTC-USD","side":"%s","type":"limit","price":"%s","quantity":"%s"%s}' "$1" "$2" "$3" "${4:-}"
}
place() { api POST /api/orders "$(limit "$@")" "$(new_key)"; order=$(jq -r .order_id <<<"$reply"); }
problem() { jq -r '.type | ltrimstr("urn:penstock:problem:")' <<<"$reply"; }
sign_in() { jq -n --arg t "$token" --arg u "$user_id" '{access_token: $t, user_id: $u}' >"$PENSTOCK_SESSION"; }
open_orders() { curl -sS "$url/api/orders?status=open" -H "authorization: Bearer $token" | jq '.orders | length'; }
none_open() { [ "$(open_orders)" = 0 ]; }
settled() { # COMMAND…: it comes true; $name says what
    if eventually 120 "$@"; then pass "$name"; else fail "$name" "$reply"; fi
}

# ---- holds ----
user buyer; buyer=$token buyer_id=$user_id
api POST /api/fund/topup '{"currency":"USD","amount":"100000"}' "$(new_key)"
user seller; seller=$token
api POST /api/fund/topup '{"currency":"BTC","amount":"5"}' "$(new_key)"
token=$seller; place sell 100.00 1; maker=$order
token=$buyer; place buy 120.00 3; taker=$order
name='a buy at a better price is filled in part'; settled status_is "$taker" partially_filled
expect 'its hold is the worst case of what is left, to the last unit' '99660 240' "$(balance USD available) $(balance USD held)"
api DELETE "/api/orders/$taker"
name='it is cancelled'; settled status_is "$taker" cancelled
expect 'and all of its hold has come back' '99900 0' "$(balance USD available) $(balance USD held)"
api GET "/api/orders/$taker/fills"
expect 'its fills are listed' '100.00 1' "$(jq -r '.trades[] | "\(.price) \(.quantity)"' <<<"$reply")"
api GET "/api/orders/$maker/fills"
expect 'nobody reads the fills of another' 0 "$(jq '.trades | length' <<<"$reply")"
api GET "/api/orders/$maker"
expect "nobody reads another's order" '404 order-not-found' "$status $(problem)"

# ---- idempotency ----
key=$(new_key)
api POST /api/orders "$(limit buy 1.00 1)" "$key"; first=$(jq -r .order_id <<<"$reply")
api POST /api/orders "$(limit buy 1.00 1)" "$key"
expect 'the same key and body has the same answer' "201 $first" "$status $(jq -r .order_id <<<"$reply")"
api POST /api/orders "$(limit buy 1.00 2)" "$key"
expect 'the same key with another body is refused' '422 idempotency-key-reused' "$status $(problem)"
api POST /api/orders "$(limit buy 1.00 2)"
expect 'no order without a key' '400 idempotency-key-missing' "$status $(problem)"
place buy 1.00 1 ',"client_order_id":"mine"'
place buy 1.00 1 ',"client_order_id":"mine"'
expect 'a client_order_id is used once' '409 client-order-id-reused' "$status $(problem)"
place buy 100000.00 3
expect 'a refusal says what is there' '422 insufficient-funds 99898' "$status $(problem) $(jq -r .available <<<"$reply")"

before=$(ledger_sql 'SELECT count(*) FROM orders')
"$PENSTOCK_BUILD/bench/penstock-load" --port "$GATEWAY_PORT" --duplicates --connections 256 --orders 10000 --seconds 60 --json \
    --acked "$PENSTOCK_HOME/duplicates" >"$PENSTOCK_HOME/load.json"
expect 'ten thousand concurrent duplicates are answered' '10000 0' "$(jq -r '"\(.placed + .refused) \(.failed)"' "$PENSTOCK_HOME/load.json")"
expect 'and have one effect' "$((before + 1)) 1" "$(ledger_sql 'SELECT count(*) FROM orders') $(sort -u "$PENSTOCK_HOME/duplicates" | wc -l)"

# ---- many at once ----
sign_in
printf '[%s,%s,%s]' "$(limit buy 1.00 1)" "$(limit buy 0.001 1)" "$(limit buy 2.00 1)" >"$PENSTOCK_HOME/orders.json"
api POST /api/orders/batch "{\"orders\":$(cat "$PENSTOCK_HOME/orders.json")}" "$(new_key)"
expect 'each order of a batch has its own answer' '200 201,422,201' "$status $(jq -r '[.orders[].status] | join(",")' <<<"$reply")"
expect 'with the problem of the one that is refused' urn:penstock:problem:invalid-price "$(jq -r '.orders[1].problem.type' <<<"$reply")"
expect 'the command line places batches' '1 2' \
    "$(penstock order batch "$PENSTOCK_HOME/orders.json" >"$PENSTOCK_HOME/out" 2>/dev/null; echo "$? $(grep -c accepted "$PENSTOCK_HOME/out")")"
count=$(open_orders)
expect 'those that rest are open' true "$([ "$count" -ge 6 ] && echo true)"
api POST /api/orders/cancel-all '{"symbol":"ETH-USD"}'
expect 'cancel-all of one market' 202 "$status"
expect 'leaves the others' "$count" "$(open_orders)"
succeeds 'the command line cancels all' penstock order cancel-all
name='and none is open'; settled none_open
name='and nothing is held'; settled balance_is USD held 0

# ---- the dead man's switch ----
switch() { api POST /api/orders/cancel-all-after "{\"timeout_s\":$1}"; }
# in_time SECONDS: the switch is set to two seconds, and within these to SECONDS; a machine that is too slow for it tries again.
in_time() {
    local begin
    while true; do
        place buy 1.00 1
        begin=$SECONDS
        switch 2; switch "$1"
        [ $((SECONDS - begin)) -gt 1 ] || break
        penstock order cancel-all >/dev/null
        eventually 90 none_open
    done
    sleep 3.5
}
in_time 600
expect 'called again in time, it does nothing' 1 "$(open_orders)"
succeeds 'it is armed' penstock order cancel-all --after 1
name='when the time has come, all is cancelled'; settled none_open
in_time 0
expect 'disarmed, it does nothing' 'disarmed 1' "$(jq -r .status <<<"$reply") $(open_orders)"

# ---- amendments ----
api PATCH "/api/orders/$order" '{"price":"2.00","quantity":"3"}'
expect 'an amendment is asked for' '202 amend_requested' "$status $(jq -r .status <<<"$reply")"
amended() { api GET "/api/orders/$order"; [ "$(jq -r '"\(.price) \(.held)"' <<<"$reply")" = "$1" ]; }
name='it holds what it needs now'; settled amended '2.00 6'
succeeds 'the command line amends' penstock order amend "$order" --price 1.50
name='and what is no longer needed comes back'; settled amended '1.50 4.5'
api PATCH "/api/orders/$order" '{"price":"90000.00"}'
expect 'what cannot be paid is not amended' '422 insufficient-funds' "$status $(problem)"
api PATCH "/api/orders/$taker" '{"price":"2.00"}'
expect 'a closed order is not amended' '409 order-not-open' "$status $(problem)"
api DELETE "/api/orders/$order"; eventually 90 none_open

# ---- races, resolved by the engine's sequence ----
api DELETE "/api/orders/$maker" # somebody else's
expect "nobody cancels another's order" '404 order-not-found' "$status $(problem)"
beside() ( # a command with an answer of its own
    PENSTOCK_HOME=$(mktemp -d "$PENSTOCK_HOME/beside-XXXXXX")
    "$@"
)
decided() { [ "$(open_orders)" = 0 ]; }
for round in 1 2 3 4 5 6 7 8; do
    token=$buyer; place buy 200.00 0.01; raced=$order
    token=$seller beside place sell 200.00 0.01 ',"time_in_force":"IOC"' &
    beside api PATCH "/api/orders/$raced" '{"price":"200.01"}' &
    beside api DELETE "/api/orders/$raced" &
    wait
    eventually 90 decided || fail "round $round: a cancel, an amendment and a fill at the same time: the order ends" "$(order_status "$raced")"
    order_status "$raced"
done >"$PENSTOCK_HOME/races"
expect 'orders that were cancelled, amended and filled at the same time ended one way' 8 "$(grep -cE '^(filled|cancelled)$' "$PENSTOCK_HOME/races")"
name='and hold nothing'; settled balance_is USD held 0
owner_sql() { PGPASSWORD=$(cat "$PENSTOCK_HOME/secrets/postgres") psql -h "$PENSTOCK_HOME/run" -p "$POSTGRES_PORT" -U postgres -d penstock_trade_ledger -qAtc "$1"; }
expect 'every trade of theirs is of an order that was filled' '' \
    "$(owner_sql "SELECT o.id FROM orders o WHERE o.status IN (4, 5) AND o.filled_lots = 0 AND EXISTS (SELECT FROM trades t WHERE o.id IN (t.maker_order_id, t.taker_order_id))")"
for to in 1 2; do
    owner_sql "UPDATE orders SET status = $to WHERE id = $raced" 2>"$PENSTOCK_HOME/refused" || true
    expect "the database does not open it again ($to)" 1 "$(grep -c ERROR "$PENSTOCK_HOME/refused")"
done

# ---- limits of a user ----
token=$buyer
owner_sql "INSERT INTO traders (user_id, open_orders_max) VALUES ($buyer_id, 2)"
refused() { place "$@"; [ "$status" = 422 ]; }
name='no more open orders than agreed'; settled refused buy 1.00 1 # from when the service has seen that there is such a row at all
note "$(problem)"
owner_sql "UPDATE traders SET open_orders_max = NULL, notional_minor_max = 500000000 WHERE user_id = $buyer_id"
name='no larger order than agreed'; settled refused buy 6.00 1
note "$(problem)"
owner_sql "UPDATE traders SET notional_minor_max = NULL, orders_per_s_max = 3 WHERE user_id = $buyer_id"
sleep 1
api POST /api/orders/batch "$(jq -nc --argjson one "$(limit buy 1.00 1)" '{orders: [$one, $one, $one, $one, $one, $one]}')" "$(new_key)"
expect 'no more orders a second than agreed' 3 "$(jq '[.orders[] | select(.status == 201)] | length' <<<"$reply")"
note "$(jq -r '.orders[5] | "\(.status) \(.problem.type)"' <<<"$reply")"

# ---- history ----
api GET '/api/orders?limit=3'; before=$(jq -r .next_before <<<"$reply")
api GET "/api/orders?limit=3&before=$before"
expect 'histories go page by page' true "$(jq --argjson b "$before" '[.orders[].order_id | tonumber < $b] | all' <<<"$reply")"
expect 'and by time' 0 "$(penstock order list --to 2020-01-01T00:00:00Z --json | jq '.orders | length')"
succeeds 'the command line lists fills' penstock order fills "$taker"
succeeds 'the log, the database and the engine agree' penstock verify
