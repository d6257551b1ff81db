#!/usr/bin/env bash
# The same journey through Kafka, by a Python client; needs a Python with confluent-kafka and protobuf in $PENSTOCK_PYTHON.
. "$(dirname "$0")/lib"
system_up
generated=$PENSTOCK_HOME/generated
mkdir -p "$generated"
protoc -I "$root/proto" --python_out="$generated" "$root"/proto/*.proto
if result=$(KAFKA_BROKERS=127.0.0.1:$KAFKA_PORT "${PENSTOCK_PYTHON:-python3}" "$(dirname "$0")/journey_kafka.py" "$generated" 2>"$PENSTOCK_HOME/python.err"); then
    pass 'a Python client takes part by proto/ and CloudEvents alone'
else
    fail 'a Python client takes part by proto/ and CloudEvents alone' "$(cat "$PENSTOCK_HOME/python.err")"
    exit 1
fi
field() { jq -c "$1" <<<"$result"; }
expect 'the trade is at the maker'"'"'s price' '[4000000,250000,true]' "$(field .trade)"
expect 'the trade carries the CloudEvents headers' \
    '["ce_id","ce_source","ce_specversion","ce_subject","ce_time","ce_type","content-type","traceparent"]' "$(field .trade_headers)"
expect 'the taker is filled' true "$(field .filled)"
expect 'the rest of the maker is cancelled' 750000 "$(field .cancelled_lots)"
expect 'one request sent twice is one order' 1 "$(field .accepted_for_duplicate)"
while IFS=$'\t' read -r name answer; do
    expect "refused with a reason: $name" "$answer" "$(field ".refused[\"$name\"]")"
done <<'CASES'
unknown symbol	["unknown-symbol","symbol"]
unspecified side	["unknown-value","side"]
unknown side	["unknown-value","side"]
zero quantity	["invalid-quantity","quantity"]
negative price	["invalid-price","price"]
too many decimals	["invalid-price","price"]
no funds	["insufficient-funds","quantity"]
not an order yet	["missing-field","price"]
CASES
expect 'a refused top-up is answered' '"unknown-currency"' "$(field .topup_refused)"

dead=orders.requests.v1.ledger-requests.dead
two_letters() { [ "$(penstock dlq list --json | jq ".[] | select(.topic==\"$dead\") | .letters")" = 2 ]; }
if eventually 90 two_letters; then pass 'poison goes to the dead-letter topic'; else fail 'poison goes to the dead-letter topic' "$(penstock dlq list)"; fi
letters=$(penstock dlq show $dead --json)
expect 'each dead letter says why' 0 "$(jq -r 'select(.reason == "" or .topic != "orders.requests.v1") | .offset' <<<"$letters" | wc -l)"
offset=$(jq -r .offset <<<"$letters" | head -1)
succeeds 'a dead letter can be sent again' penstock dlq retry $dead --offset "$offset"
three_letters() { [ "$(penstock dlq list --json | jq ".[] | select(.topic==\"$dead\") | .letters")" = 3 ]; }
if eventually 90 three_letters; then pass 'and comes back while its cause is there'; else fail 'and comes back while its cause is there'; fi
succeeds 'the log, the database and the engine agree' penstock verify
