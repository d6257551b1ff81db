#!/usr/bin/env bash
# relay.sh -- the outbox relay by itself, beside an application that is not Penstock's: its table is adopted, published as a role that
# can do nothing else, watched, paused, replayed; what Kafka refuses is parked and tried again; one bad source stops no other.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${PENSTOCK_BUILD:=$root/build-test}" "${PENSTOCK_CACHE:=$root/var/cache}"
export PENSTOCK_BUILD PENSTOCK_CACHE
if [ -z "${PENSTOCK_SERVERS:-}" ] && [ -z "${KAFKA_BROKERS:-}" ]; then
    exec "$root/tests/with-servers" "${BASH_SOURCE[0]}"
fi
passed=0 failed=0 relay=''
pass() { passed=$((passed + 1)); printf 'ok %s\n' "$1"; }
fail() { failed=$((failed + 1)); printf 'not ok %s\n' "$1"; shift; [ $# -eq 0 ] || printf '     %s\n' "$@"; }
succeeds() { local text=$1; shift; if "$@"; then pass "$text"; else fail "$text"; fi; }
expect() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "wanted: $2" "got:    $3"; fi; }
end() {
    [ -z "$relay" ] || { kill "$relay"; wait "$relay"; } 2>/dev/null
    "$PENSTOCK_BUILD/tools/penstock-topics" --delete --quiet "$topics" >/dev/null 2>&1
    psql "$POSTGRES_URL" -qc "DROP DATABASE IF EXISTS $database WITH (FORCE)" -c "DROP ROLE IF EXISTS $database" 2>/dev/null
    rm -rf "$work"
}
trap end EXIT

work=$(mktemp -d) topics=$work/topics.yaml
name=relaytest$RANDOM$RANDOM
database=$name
export TOPIC_PREFIX=$name- OUTBOX_RELAY_CLEANUP_DELAY_SECONDS=3600 OUTBOX_RELAY_MAX_LAG_SECONDS=600
. "$root/tools/launcher/ports.sh"
reserve_ports 1
export OUTBOX_RELAY_PORT=${ports[0]}
cat >"$topics" <<'YAML'
asyncapi: 3.0.0
channels:
  outbox.positions.v1:
    address: outbox.positions.v1
    bindings: { kafka: { topic: outbox.positions.v1, partitions: 1, replicas: 1, topicConfiguration: { cleanup.policy: [compact] } } }
  shop.order.v1:
    address: shop.order.v1
    bindings: { kafka: { topic: shop.order.v1, partitions: 2, replicas: 1 } }
YAML
sql() { psql "${POSTGRES_URL%/*}/$database" -v ON_ERROR_STOP=1 -Atqc "$1" 2>&1; }
as_relay() { psql "$RELAY_SHOP_POSTGRES_URL" -v ON_ERROR_STOP=1 -Atqc "$1" 2>&1; }
penstock() { "$PENSTOCK_BUILD/tools/cli/penstock-cli" "$@"; }
of_shop() { penstock relay status --json | jq -r ".sources[] | select(.source == \"shop\") | .$1"; }
eventually() { # SECONDS WANTED COMMAND…
    local until=$((SECONDS + $1)) wanted=$2
    shift 2
    got=$("$@")
    while [ "$got" != "$wanted" ] && [ "$SECONDS" -lt "$until" ]; do sleep 0.2; got=$("$@"); done
}
soon() { local text=$1; shift; eventually 90 "$@"; expect "$text" "$1" "$got"; }
values() { kcat -b "$KAFKA_BROKERS" -X isolation.level=read_committed -C -t "${TOPIC_PREFIX}$1" -o beginning -e -q -f '%k %s %h\n' 2>/dev/null; }

# ---- An application with an outbox as Debezium's router wants it, and a bystander's table ----
psql "$POSTGRES_URL" -qc "CREATE DATABASE $database"
sql "CREATE TABLE outbox (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aggregatetype text NOT NULL, aggregateid text NOT NULL,
     type text NOT NULL, payload jsonb); CREATE TABLE bystander (secret text)"
sql "INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('order', 'o-0', 'Old', '{}')"
for _ in 1 2; do # safe to run twice
    psql "${POSTGRES_URL%/*}/$database" -q -v table=public.outbox -v relay_role="$database" -f "$root/outbox-relay/adopt.sql" 2>"$work/adopt.err" ||
        fail 'adopt.sql adopts a table' "$(cat "$work/adopt.err")"
done
"$PENSTOCK_BUILD/tools/penstock-topics" --quiet "$topics" || fail 'topics are made'

export OUTBOX_RELAY_SOURCES=broken,shop RELAY_BROKEN_TABLE=nowhere
RELAY_SHOP_POSTGRES_URL="${POSTGRES_URL/postgres@/$database@}"
RELAY_SHOP_POSTGRES_URL="${RELAY_SHOP_POSTGRES_URL%/*}/$database"
export RELAY_SHOP_POSTGRES_URL RELAY_BROKEN_POSTGRES_URL=$RELAY_SHOP_POSTGRES_URL
export RELAY_SHOP_ORDER_COLUMN=relay_order RELAY_SHOP_ID_COLUMN=id RELAY_SHOP_ID_FORMAT='{}' RELAY_SHOP_TOPIC_COLUMN=aggregatetype
export RELAY_SHOP_TOPIC_FORMAT='shop.{}.v1' RELAY_SHOP_KEY_COLUMN=aggregateid RELAY_SHOP_HEADERS_COLUMN='' RELAY_SHOP_TRACE_COLUMN=''
export RELAY_SHOP_TIME_COLUMN='' RELAY_SHOP_CE_SOURCE=/shop
start() {
    "$PENSTOCK_BUILD/outbox-relay/outbox-relay" >>"$work/log" 2>&1 &
    relay=$!
    eventually 90 active of_shop state
}
stop() { kill "$relay"; wait "$relay"; }
start
expect 'the source becomes active, though another one is broken' active "$got"

# ---- Publishing ----
insert() { sql "INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('$1', '$2', '$3', '{\"n\": $4}')"; }
insert order o-1 Placed 1
insert order o-1 Paid 2
soon 'rows are published' 2 of_shop published_rows
expect 'in order, as JSON, and the backlog is left alone' 'o-1 {"n": 1}|o-1 {"n": 2}' \
    "$(values shop.order.v1 | grep -o '^o-1 {[^}]*}' | paste -sd'|')"
if [[ $(values shop.order.v1) == *ce_source=/shop*ce_type=Placed*content-type=application/json* ]]; then
    pass 'with CloudEvents headers'
else
    fail 'with CloudEvents headers' "$(values shop.order.v1)"
fi
names_its_setting() { penstock relay status --json | jq -r '.sources[0].trouble | test("RELAY_BROKEN_TABLE: there is no table") | if . then "yes" else . end'; }
soon 'a broken source names its setting' yes names_its_setting # once it has come as far as its table
curl -sS "http://127.0.0.1:$OUTBOX_RELAY_PORT/metrics" >"$work/metrics"
for metric in up lag_seconds lag_rows lag_bytes in_flight_rows parked_rows paused rows_per_second published_total commit_duration_seconds_count; do
    grep -q "^outbox_relay_$metric{source=\"shop\"}" "$work/metrics" || fail "metric outbox_relay_$metric"
done
pass 'metrics tell of each source'

# ---- The role ----
before=$failed
for forbidden in 'SELECT * FROM bystander' "UPDATE outbox SET type = 'x'" "INSERT INTO outbox (aggregatetype, aggregateid, type) VALUES ('a', 'b', 'c')" \
    'CREATE TABLE mine ()' 'UPDATE outbox_parked SET payload = NULL' 'TRUNCATE outbox' 'DELETE FROM outbox_relay'; do
    [[ $(as_relay "$forbidden") == *'permission denied'* ]] || fail "the relay's role may not: $forbidden" "$(as_relay "$forbidden")"
done
expect "the relay's role can do nothing else" "$before" "$failed"

# ---- Pause, over a restart ----
penstock relay pause shop >/dev/null
soon 'a source is paused' paused of_shop state
stop
insert order o-2 Placed 3
"$PENSTOCK_BUILD/outbox-relay/outbox-relay" >>"$work/log" 2>&1 &
relay=$!
soon 'it still is after a restart' paused of_shop state
expect 'and publishes nothing' 0 "$(of_shop published_rows)"
penstock relay resume shop >/dev/null
soon 'resumed it goes on' 1 of_shop published_rows

# ---- Parked rows ----
insert refund r-1 Refunded 4
insert order o-3 Placed 5
soon 'a row of an unknown topic is parked, and others go on' 1 of_shop parked_rows
expect 'the list says why' 'shop.refund.v1 r-1' "$(penstock relay parked list shop --json | jq -r '.parked[0] | "\(.topic) \(.key)"')"
cat >>"$topics" <<'YAML'
  shop.refund.v1:
    address: shop.refund.v1
    bindings: { kafka: { topic: shop.refund.v1, partitions: 1, replicas: 1 } }
YAML
"$PENSTOCK_BUILD/tools/penstock-topics" --quiet "$topics"
retried() { # again: the broker may not know the topic yet
    penstock relay parked retry shop --all >/dev/null
    kcat -b "$KAFKA_BROKERS" -C -t "${TOPIC_PREFIX}shop.refund.v1" -o beginning -e -q -f '%k %s' 2>/dev/null
}
soon 'once the topic is there it can be published after all' 'r-1 {"n": 4}' retried
soon 'and is parked no more' 0 of_shop parked_rows

# ---- Replay ----
penstock relay replay shop --from 2 >/dev/null 2>&1
expect 'a replay without --yes is a question' 2 $?
penstock relay replay shop --from nonsense --yes >/dev/null 2>&1
expect 'a replay from nowhere is refused' 1 $?
penstock relay replay shop --from 3 --yes >/dev/null
replays() { values shop.order.v1 | grep -c 'ce_replay=1'; }
soon 'a replay repeats what is asked for, and says so' 3 replays
expect 'with the same ids' 1 "$(values shop.order.v1 | grep '^o-3 ' | grep -o 'ce_id=[^,]*' | sort -u | wc -l)"

# ---- Health ----
health() { curl -sS -o "$work/health" -w '%{http_code}' "http://127.0.0.1:$OUTBOX_RELAY_PORT/health"; }
expect 'healthy while the lag is small' 200 "$(health)"
stop
OUTBOX_RELAY_MAX_LAG_SECONDS=1 "$PENSTOCK_BUILD/outbox-relay/outbox-relay" >>"$work/log" 2>&1 &
relay=$!
eventually 90 active of_shop state
soon 'unhealthy when a source lags more than the setting' 503 health
succeeds 'and it says which' grep -q 'source broken' "$work/health"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
