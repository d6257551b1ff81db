#!/usr/bin/env bash
# Bad input over HTTP: each row is refused with its status, problem and field, and changes nothing.
. "$(dirname "$0")/lib"
system_up
user rich
api POST /api/fund/topup '{"currency":"USD","amount":"1000"}' "$(new_key)"
money() { curl -sS "$url/api/portfolio" -H "authorization: Bearer $token" | jq -c .balances; }
before=$(money)

# refused NAME STATUS PROBLEM FIELD: holds $status and $reply against it
refused() {
    expect "$1" "$2 urn:penstock:problem:$3 $4" "$status $(jq -r '"\(.type) \(.field // "")"' <<<"$reply" 2>/dev/null)"
}
order() { # overrides as jq: one order, changed
    jq -cn '{symbol:"BTC-USD",side:"buy",type:"limit",price:"100.00",quantity:"0.01"} | '"$1"
}
while IFS='|' read -r name change want_status problem field; do
    api POST /api/orders "$(order "$change")" "$(new_key)"
    refused "order: $name" "$want_status" "$problem" "$field"
done <<'CASES'
unknown symbol|.symbol="XXX-USD"|422|unknown-symbol|symbol
zero price|.price="0"|422|invalid-price|price
negative price|.price="-1"|422|invalid-price|price
price with too many decimals|.price="1.001"|422|invalid-price|price
price over range|.price="99999999999999"|422|invalid-price|price
price that is no number|.price="abc"|400|invalid-price|price
zero quantity|.quantity="0"|422|invalid-quantity|quantity
negative quantity|.quantity="-1"|422|invalid-quantity|quantity
quantity with too many decimals|.quantity="0.0000001"|422|invalid-quantity|quantity
quantity over range|.quantity="99999999999"|422|invalid-quantity|quantity
missing symbol|del(.symbol)|400|missing-field|symbol
missing price|del(.price)|400|missing-field|price
missing quantity|del(.quantity)|400|missing-field|quantity
price of the wrong type|.price=1|400|wrong-type|price
unknown side|.side="hold"|400|unknown-value|side
unknown type|.type="magic"|400|unknown-value|type
unknown time in force|.time_in_force="DAY"|400|unknown-value|time_in_force
more than there is|.quantity="100"|422|insufficient-funds|quantity
CASES
expect 'not enough funds says what is available' 1000 "$(jq -r .available <<<"$reply")"

api POST /api/orders '{"symbol":' "$(new_key)"
refused 'broken JSON' 400 malformed-json ''
api POST /api/orders '[]' "$(new_key)"
expect 'a body that is no object' 400 "$status"
api POST /api/orders "$(order .)"
refused 'a missing Idempotency-Key' 400 idempotency-key-missing Idempotency-Key
head -c 100000 /dev/zero | tr '\0' ' ' >"$PENSTOCK_HOME/big"
api POST /api/orders "@$PENSTOCK_HOME/big" "$(new_key)"
refused 'an oversize body' 413 body-too-large ''
api GET /api/orders/999999999
refused 'an order that is not there' 404 order-not-found order_id
api GET /api/orders/abc
expect 'an order id that is none' 404 "$status"
api GET /api/nothing
expect 'an unknown path' 404 "$status"
api PUT /api/orders '{}'
expect 'a wrong method' 405 "$status"
api POST /api/fund/topup '{"currency":"XXX","amount":"1"}' "$(new_key)"
refused 'top-up: unknown currency' 422 unknown-currency currency
api POST /api/fund/topup '{"currency":"USD","amount":"abc"}' "$(new_key)"
refused 'top-up of no number' 400 invalid-amount amount
for amount in 0 -1 0.000000001 99999999999999999999; do
    api POST /api/fund/topup "{\"currency\":\"USD\",\"amount\":\"$amount\"}" "$(new_key)"
    refused "top-up of $amount" 422 invalid-amount amount
done

expect 'nothing has changed' "$before" "$(money)"

key=$(new_key)
api POST /api/orders "$(order '.client_order_id="mine"')" "$key"; first=$reply
expect 'a good order is accepted' 201 "$status"
api POST /api/orders "$(order '.client_order_id="mine"')" "$key"
expect 'the same key with the same body gets the same answer' "201 $first" "$status $reply"
api POST /api/orders "$(order '.quantity="0.02"')" "$key"
refused 'the same key with another body' 422 idempotency-key-reused Idempotency-Key
api POST /api/orders "$(order '.client_order_id="mine"')" "$(new_key)"
refused 'client_order_id reused' 409 client-order-id-reused client_order_id
mine=$(jq -r .order_id <<<"$first")
good=$token
user stranger
api GET "/api/orders/$mine"
refused 'someone else'"'"'s order' 404 order-not-found order_id
api DELETE "/api/orders/$mine"
refused 'cancelling someone else'"'"'s order' 404 order-not-found order_id

b64() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
payload=$(cut -d. -f2 <<<"$good")
kid=$(curl -sS "$url/.well-known/jwks.json" | jq -r '.keys[0].kid')
attempt() { token=$2; api GET /api/portfolio; expect "$1" 401 "$status"; }
attempt 'no token' ''
attempt 'a token that is none' 'abc'
attempt 'a forged signature' "${good%.*}.$(printf 'x%.0s' {1..64} | b64)"
attempt 'alg none' "$(printf '{"alg":"none","kid":"%s"}' "$kid" | b64).$payload."
hs_head=$(printf '{"alg":"HS256","kid":"%s"}' "$kid" | b64)
public=$(curl -sS "$url/.well-known/jwks.json")
hs_sig=$(printf '%s' "$hs_head.$payload" | openssl dgst -sha256 -hmac "$public" -binary | b64)
attempt 'HS256 keyed with the public key' "$hs_head.$payload.$hs_sig"
attempt 'a changed payload' "$(cut -d. -f1 <<<"$good").$(printf '{"sub":"1"}' | b64).$(cut -d. -f3 <<<"$good")"
token=$good
api GET /api/portfolio
expect 'the true token still works' 200 "$status"
succeeds 'the log, the database and the engine agree' penstock verify
