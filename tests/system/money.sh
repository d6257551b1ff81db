#!/usr/bin/env bash
# Money between people and the house, over HTTP and the command line: transfers, operators' journals, frozen accounts; and the log, the
# database and the engine agree about all of it.
. "$(dirname "$0")/lib"
system_up

user ada; ada=$token
api POST /api/fund/topup '{"currency":"USD","amount":"1000"}' "$(new_key)"
user bob; bob=$token bob_id=$user_id

token=$ada
pay() { jq -cn --arg to "$1" --arg amount "$2" '{to_user_id: $to, currency: "USD", amount: $amount}'; }
# Bob has only just signed up: the ledger hears of it through Kafka.
paid() { api POST /api/transfers "$(pay "$bob_id" 12.5)" "$(new_key)"; [ "$status" = 201 ]; }
if eventually 90 paid; then pass 'someone who has signed up can be paid'; else fail 'someone who has signed up can be paid' "$status $reply"; fi
expect 'the answer has the balance' 987.5 "$(jq -r .balance.available <<<"$reply")"
api POST /api/transfers "$(pay 999999 1)" "$(new_key)"
expect 'nobody else can' '422 urn:penstock:problem:unknown-recipient' "$status $(jq -r .type <<<"$reply")"
key=$(new_key)
api POST /api/transfers "$(pay "$bob_id" 1)" "$key"
first=$(jq -r .transfer_id <<<"$reply")
api POST /api/transfers "$(pay "$bob_id" 1)" "$key"
expect 'the same key pays once' "$first" "$(jq -r .transfer_id <<<"$reply")"

many=$(jq -cn --arg to "$bob_id" '{mode: "each", transfers: [range(300) | {to_user_id: $to, currency: "USD", amount: "0.01"}]}')
api POST /api/transfers/batch "$many" "$(new_key)"
expect 'three hundred transfers in one request' '201 300' "$status $(jq -r .done <<<"$reply")"
expect 'both sides have what they should' 983.5 "$(balance USD available)"
token=$bob
expect 'the other side too' 16.5 "$(balance USD available)"

fee=$(jq -cn --arg to "$bob_id" '{legs: [{user_id: $to, currency: "USD", amount: "-2"}, {account: "fees", currency: "USD", amount: "2"}],
    reference: "monthly fee", effective_at: "2021-01-31T00:00:00Z"}')
api POST /api/ledger/journals "$fee" "$(new_key)"
expect 'a journal is not for everybody' 403 "$status"
account=$(curl -sS "$url/api/accounts" -H "authorization: Bearer $bob" | jq -r '.accounts[0].account_id')
api PATCH "/api/admin/accounts/$account" '{"status":"frozen","reason":"test"}'
expect 'nor is freezing' 403 "$status"

# login signup|login NAME
login() { curl -sS -X POST "$url/auth/$1" -H 'content-type: application/json' -d "{\"email\":\"$2@test.invalid\",\"password\":\"correct horse battery\"}"; }
login signup carl >/dev/null
succeeds 'a role is given by the command line' penstock admin grant carl@test.invalid operator
token=$(login login carl | jq -r .access_token)
api POST /api/ledger/journals "$fee" "$(new_key)"
expect 'an operator books a journal' 201 "$status"
PENSTOCK_TOKEN=$token succeeds 'an operator freezes an account by the command line' penstock admin freeze "$account" test
operator=$token token=$bob
api POST /api/transfers "$(jq -cn '{to_user_id: "1", currency: "USD", amount: "1"}')" "$(new_key)"
expect 'nothing goes out of a frozen account' '422 urn:penstock:problem:account-frozen' "$status $(jq -r .type <<<"$reply")"
token=$operator
PENSTOCK_TOKEN=$token succeeds 'and opens it again' penstock admin unfreeze "$account" test

token=$ada
api POST /api/transfers "$(pay "$bob_id" 100 | jq -c '. + {pending: true}')" "$(new_key)"
pending=$(jq -r .transfer_id <<<"$reply")
expect 'a transfer can be set aside' 'pending 100' "$(jq -r .status <<<"$reply") $(balance USD held)"
api POST /api/transfers "$(pay "$bob_id" 5 | jq -c '. + {pending: true, expires_in_s: 1}')" "$(new_key)"
short=$(jq -r .transfer_id <<<"$reply")
token=$bob
api POST "/api/transfers/$pending/post" '{"amount":"40"}' "$(new_key)"
expect 'and posted in part' 'posted 40' "$(jq -r '.status + " " + .posted_amount' <<<"$reply")"
token=$ada
expired() { api GET "/api/transfers/$short"; [ "$(jq -r .status <<<"$reply")" = expired ]; }
if eventually 90 expired; then pass 'what nobody posts comes back by itself'; else fail 'what nobody posts comes back by itself' "$reply"; fi
expect 'nothing stays set aside' '943.5 0' "$(balance USD available) $(balance USD held)"

cat >"$PENSTOCK_HOME/history.csv" <<CSV
date,debit,credit,currency,amount,reference
2019-12-31,user:$bob_id,house,USD,1.5,"card, 2019"
2020-12-31,user:$bob_id,house,USD,2.5,"card, 2020"
CSV
export PENSTOCK_TOKEN=$operator
succeeds 'dated history is imported' penstock ledger import "$PENSTOCK_HOME/history.csv"
succeeds 'again, which books nothing' penstock ledger import "$PENSTOCK_HOME/history.csv"
echo "2020-12-31,user:$bob_id,house,USD,x,bad" >>"$PENSTOCK_HOME/history.csv"
expect 'a line that cannot be read is named' 'line 4: amount' "$(penstock ledger import "$PENSTOCK_HOME/history.csv" 2>&1 | grep -o 'line 4: amount')"
token=$operator
api POST "/api/ledger/journals/$first/reverse" '{"reference":"paid by mistake"}' "$(new_key)"
expect 'a transfer is reversed by a new journal' "201 $first" "$status $(jq -r .reverses <<<"$reply")"
succeeds 'an operator proposes an adjustment' penstock admin propose house "user:$bob_id" USD 5 goodwill
adjustment=$(penstock admin adjustments proposed --json | jq -r '.adjustments[0].adjustment_id')
api POST "/api/ledger/adjustments/$adjustment/approve" '{}' "$(new_key)"
expect 'and cannot approve it himself' '403 urn:penstock:problem:four-eyes' "$status $(jq -r .type <<<"$reply")"
login signup dora >/dev/null
penstock admin grant dora@test.invalid operator >/dev/null
PENSTOCK_TOKEN=$(login login dora | jq -r .access_token)
succeeds 'another one does' penstock admin approve "$adjustment" seen
unset PENSTOCK_TOKEN
token=$bob
expect 'all of it is in the balance' 54.5 "$(balance USD available)" # 16.5 - 2 + 40 - 4 - 1 + 5

printed() { curl -sS -o "$PENSTOCK_HOME/statement" -w '%{content_type} ' "$url/api/accounts/USD/statement?format=$1" -H "authorization: Bearer $bob"; head -c 5 "$PENSTOCK_HOME/statement"; }
expect 'a statement can be printed' 'application/pdf %PDF-' "$(printed pdf)"
expect 'as a page too' 'text/html; charset=utf-8 <!DOC' "$(printed html)"
succeeds 'log, database and engine agree' penstock verify --timeout 30
