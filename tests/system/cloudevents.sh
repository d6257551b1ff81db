#!/usr/bin/env bash
# A CloudEvents SDK that is not ours (Python's) takes part: it reads what a C producer, psql and the services published, and what it
# writes is understood, or refused with the reason. Needs $PENSTOCK_PYTHON with cloudevents, confluent-kafka and protobuf.
. "$(dirname "$0")/lib"
system_up
generated=$PENSTOCK_HOME/generated
mkdir -p "$generated"
protoc -I "$root/proto" --python_out="$generated" "$root"/proto/*.proto
brokers=127.0.0.1:$KAFKA_PORT
trace=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01

sdk() { # ARGUMENT… -- sets result
    result=$(KAFKA_BROKERS=$brokers "${PENSTOCK_PYTHON:-python3}" "$(dirname "$0")/cloudevents_sdk.py" "$generated" "$@" 2>"$PENSTOCK_HOME/python.err") ||
        { fail "the SDK does: $*" "$(cat "$PENSTOCK_HOME/python.err")"; exit 1; }
}
field() { jq -rc "$1" <<<"$result"; }

# ---- A C program with libevent-bus ----
id=$(KAFKA_BROKERS=$brokers "$PENSTOCK_BUILD/libevent-bus/examples/place_order" 910002 BTC-USD buy 50000.00 0.5)
sdk read orders.requests.v1 "$id"
expect 'the SDK reads each attribute of what a C producer published' \
    '["1.0","/examples/place_order","penstock.orders.v1.PlaceOrder","application/protobuf","910002","910002",true]' \
    "$(field '[.specversion, .source, .type, .datacontenttype, .subject, .partitionkey, .recent]')"
expect 'and its payload' '{"clientId":"910002","price":"50000.00","quantity":"0.5","side":"SIDE_BUY","symbol":"BTC-USD","type":"ORDER_TYPE_LIMIT"}' \
    "$(field '.data | to_entries | sort_by(.key) | from_entries')"
expect 'and a trace' 1 "$(field .traceparent | grep -cE '^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$')"

# ---- Any language: one call of SQL, published by the relay ----
cat >"$PENSTOCK_HOME/topics.yaml" <<'YAML'
asyncapi: 3.0.0
channels:
  sdk.greetings.v1: { address: sdk.greetings.v1, bindings: { kafka: { topic: sdk.greetings.v1, partitions: 2, replicas: 1 } } }
YAML
succeeds 'a topic is made' env KAFKA_BROKERS="$brokers" "$PENSTOCK_BUILD/tools/penstock-topics" --quiet "$PENSTOCK_HOME/topics.yaml"
payload=00ff80c3a9
written=$(psql "$(cat "$PENSTOCK_HOME/secrets/trade-ledger.url")" -Atqc "BEGIN; SELECT outbox_write('sdk.greetings.v1', 'clé', 'com.example.Greeting',
    '\\x$payload', '$trace', ARRAY['x-note', 'from psql']); COMMIT")
psql "$(cat "$PENSTOCK_HOME/secrets/trade-ledger.url")" -Atqc "BEGIN; SELECT outbox_write('sdk.greetings.v1', 'k', 'com.example.Never', 'no'); ROLLBACK" >/dev/null
sdk read sdk.greetings.v1 "trade-ledger-$written"
expect 'the SDK reads each attribute of what psql wrote' \
    '["1.0","/penstock/trade-ledger","com.example.Greeting","application/protobuf","clé",true,"from psql"]' \
    "$(field '[.specversion, .source, .type, .datacontenttype, .partitionkey, .recent, .note]')"
expect 'and its payload, byte by byte' $payload "$(field .data)"
expect 'and the trace it was written with' $trace "$(field .traceparent)"
expect 'what was rolled back was never published' com.example.Greeting \
    "$(penstock events tail sdk.greetings.v1 --from beginning --until-end --json | jq -r .type)"

# ---- The SDK writes ----
sdk write
expect 'a top-up that the SDK wrote is booked, and its trace goes on' '["/penstock/trade-ledger",910001,true]' "$(field .topup)"
expect 'an order that the SDK wrote is accepted, and its trace goes on' '[4000000,250000,true]' "$(field .accepted)"
expect 'the same event twice has one effect' 1 "$(field .accepted_count)"
expect 'a refusal is an answer' invalid-price "$(field .refused)"
while IFS='|' read -r name letter; do
    expect "a dead letter says why: $name" "$letter" "$(field ".[\"$name\"]")"
done <<'CASES'
another content type|["invalid","content-type","header content-type is not application/protobuf"]
another message|["invalid","ce_type","com.example.greeting is no request of this topic"]
structured mode|["invalid","content-type","header content-type tells of structured content mode; only binary mode is read"]
CASES
requests_dead=orders.requests.v1.ledger-requests.dead
four_letters() { [ "$(penstock dlq show $requests_dead --json | wc -l)" -ge 4 ]; }
expect 'what can be sent again is, and the letter that has no id stops nobody' '2 sent again' "$(penstock dlq retry $requests_dead --all 2>"$PENSTOCK_HOME/passed_over")"
succeeds 'and is told of' grep -qE 'offset [0-9]+ cannot be sent again: ' "$PENSTOCK_HOME/passed_over"
succeeds 'refused again they are letters again' eventually 90 four_letters
expect 'of which each event is sent once' '2 sent again' "$(penstock dlq retry $requests_dead --all 2>/dev/null)"
succeeds 'the log, the database and the engine agree' penstock verify
