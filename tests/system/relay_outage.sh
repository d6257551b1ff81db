#!/usr/bin/env bash
# relay_outage.sh -- Kafka is away while rows are written: memory stays bounded, /health says so, the log does not fill, and when Kafka is
# back everything is published once, in order. Then a source whose table nobody can read, and a slot that keeps too much log, are
# told of by /health while another source of the same process goes on.
#
#   OUTAGE_ROWS (150000) written while Kafka is away, OUTAGE_SECONDS (15) how long it is at least
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${PENSTOCK_BUILD:=$root/build-test}" "${PENSTOCK_CACHE:=$root/var/cache}" "${OUTAGE_ROWS:=150000}" "${OUTAGE_SECONDS:=15}"
export PENSTOCK_BUILD PENSTOCK_CACHE
[ -n "${PENSTOCK_SERVERS:-}" ] || exec "$root/tests/with-servers" "${BASH_SOURCE[0]}"
passed=0 failed=0 relay='' killer=''
pass() { passed=$((passed + 1)); printf 'ok %s\n' "$1"; }
wrong() { failed=$((failed + 1)); printf 'not ok %s\n' "$1"; shift; [ $# -eq 0 ] || printf '     %s\n' "$@"; }
expect() { if [ "$2" = "$3" ]; then pass "$1"; else wrong "$1" "wanted: $2" "got:    $3"; fi; }
at_most() { if [ "$3" -le "$2" ]; then pass "$1 ($3)"; else wrong "$1" "at most: $2" "got:     $3"; fi; }

work=$(mktemp -d "${TMPDIR:-/tmp}/outage-XXXX")
export TOPIC_PREFIX=outage- DATABASE_PREFIX=outage_ OUTBOX_RELAY_MAX_LAG_SECONDS=5 OUTBOX_RELAY_CLEANUP=false
. "$root/tools/launcher/ports.sh"
reserve_ports 1
export OUTBOX_RELAY_PORT=${ports[0]}
server=${POSTGRES_URL%/*}
# Three sources of one process, each with a database: two polled, one by its log.
sources=(trade-ledger identity)
for one in "${sources[@]}"; do "$root/tools/migrate" --quiet "$one"; done
"$PENSTOCK_BUILD/tools/penstock-topics" --quiet "$root/schemas/asyncapi.yaml"
sql() { psql --no-psqlrc "$server/$1" -v ON_ERROR_STOP=1 -Atqc "$2"; }
sql outage_trade_ledger "CREATE PUBLICATION outbox FOR TABLE outbox WITH (publish = 'insert')"
sql postgres 'CREATE DATABASE outage_log TEMPLATE outage_trade_ledger'
sql postgres 'ALTER ROLE outage_relay REPLICATION'
export OUTBOX_RELAY_SOURCES=trade-ledger,identity,log RELAY_LOG_MODE=wal OUTBOX_RELAY_WAL_MAX_RETAINED_BYTES=16777216
export RELAY_TRADE_LEDGER_POSTGRES_URL="${server/postgres@/outage_relay@}/outage_trade_ledger"
export RELAY_IDENTITY_POSTGRES_URL="${server/postgres@/outage_relay@}/outage_identity"
export RELAY_LOG_POSTGRES_URL="${server/postgres@/outage_relay@}/outage_log"

end() {
    trap - EXIT
    for pid in "$killer" "$relay"; do [ -z "$pid" ] || { kill "$pid"; wait "$pid"; } 2>/dev/null; done
    rm -rf "$work"
}
trap end EXIT
status() { curl -sS "http://127.0.0.1:$OUTBOX_RELAY_PORT/sources" 2>/dev/null | jq -r ".sources[] | select(.source == \"$1\") | .$2"; }
health() { curl -sS -o "$work/health" -w '%{http_code}' "http://127.0.0.1:$OUTBOX_RELAY_PORT/health"; }
metric() { curl -sS "http://127.0.0.1:$OUTBOX_RELAY_PORT/metrics" | awk -v name="outbox_relay_$1{source=\"$2\"}" '$1 == name { printf "%d", $2 }'; }
memory_kb() { awk "/$1/ { print \$2 }" "/proc/$relay/status"; }
eventually() { # SECONDS WANTED COMMAND…: sets got
    local until=$((SECONDS + $1)) wanted=$2
    shift 2
    got=$("$@")
    while [ "$got" != "$wanted" ] && [ "$SECONDS" -lt "$until" ]; do sleep 0.5; got=$("$@"); done
}
write() { # DATABASE ROWS
    sql "$1" "INSERT INTO outbox (topic, key, type, payload) SELECT 'orders.accepted.v1', convert_to('k' || i % 100, 'UTF8'), 'T',
        convert_to(lpad(i::text, 200, '0'), 'UTF8') FROM generate_series(1, $2) AS i"
}
topic_order() { # per key: rows, rows out of order or twice
    kcat -b "$KAFKA_BROKERS" -X isolation.level=read_committed -C -t "${TOPIC_PREFIX}orders.accepted.v1" -o beginning -e -q -f '%k %s %h\n' 2>/dev/null |
        awk -v source="ce_source=/penstock/$1" 'index($0, source) { rows++; n = $2 + 0; if (n <= last[$1]) wrong++; last[$1] = n }
            END { print rows + 0, wrong + 0 }'
}
recovered() { jq -r .msg "$work/log" | grep -E ': active, after [0-9]+ failures' | grep -oE '^source [a-z-]+' | sort -u; }

"$PENSTOCK_BUILD/outbox-relay/outbox-relay" >"$work/log" 2>&1 &
relay=$!
for one in trade-ledger identity log; do
    eventually 60 active status "$one" state
    expect "source $one of the process is active" active "$got"
done
eventually 90 200 health
expect 'healthy' 200 "$got"

# ---- Kafka is away ----
# It comes back by itself, so it is killed again before it can answer.
kill_kafka() {
    trap 'exit 0' TERM
    while :; do
        kill -9 "$(sed -n 's/^pid=//p' "$PENSTOCK_SERVERS/run/kafka.state")" 2>/dev/null
        sleep 0.7 &
        wait $!
    done
}
before_kb=$(memory_kb VmRSS)
lines_before=$(wc -l <"$work/log")
kill_kafka &
killer=$!
sleep 1
begun=$SECONDS
write outage_trade_ledger "$OUTAGE_ROWS"
write outage_log 1000
eventually 90 503 health
expect 'unhealthy once the lag exceeds the setting' 503 "$got"
while [ $((SECONDS - begun)) -lt "$OUTAGE_SECONDS" ]; do sleep 1; done
waiting_kb=$(memory_kb VmRSS)
at_most 'while it is away the log says what changed, and not more: lines' 12 $(($(wc -l <"$work/log") - lines_before))
if tail -n "+$((lines_before + 1))" "$work/log" | jq -es 'any(.[]; .msg | test("^Kafka client ")) and all(.[]; .level)' >/dev/null 2>&1; then
    pass 'each line is JSON, those of librdkafka too'
else
    wrong 'each line is JSON, those of librdkafka too' "$(tail -n 3 "$work/log")"
fi
kill "$killer"
wait "$killer" 2>/dev/null
killer=''
back_ms=$(date +%s%3N)
eventually 90 "$OUTAGE_ROWS" status trade-ledger published_rows
expect 'when it is back, all rows are published' "$OUTAGE_ROWS" "$got"
took_ms=$(($(date +%s%3N) - back_ms))
eventually 90 1000 status log published_rows
expect 'those read from the log too' 1000 "$got"
expect 'each once, and each key in order' "$OUTAGE_ROWS 0" "$(topic_order trade-ledger)"
eventually 90 200 health
expect 'and it is healthy again' 200 "$got"
# Of those that failed: an idle source may not have noticed.
troubled=$(jq -r .msg "$work/log" | grep -E '^source [a-z-]+: (backing off|a Kafka transaction was aborted)' | grep -oE '^source [a-z-]+' | sort -u)
eventually 60 "$troubled" recovered
expect 'the log says of each source in trouble that it is active again' "$troubled" "$got"
peak_kb=$(memory_kb VmHWM)
echo "-- $OUTAGE_ROWS rows waited; memory in MB: before $((before_kb / 1024)), while Kafka was away $((waiting_kb / 1024)), afterwards" \
    "$(($(memory_kb VmRSS) / 1024)), most $((peak_kb / 1024)); published $((took_ms / 1000)) s after the last kill of Kafka"
if grep -q 'libasan' "/proc/$relay/maps"; then limit_mb=2000; else limit_mb=150; fi
at_most "memory stayed bounded: most MB" "$limit_mb" $((peak_kb / 1024))

# ---- A source that stalls without an error: somebody holds its table ----
psql --no-psqlrc "$server/outage_identity" -qAtc 'BEGIN; LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(300)' >/dev/null 2>&1 &
blocker=$!
eventually 90 503 health
expect 'a source that is stuck without an error makes it unhealthy' 503 "$got"
if grep -q 'source identity' "$work/health"; then pass 'and it says which'; else wrong 'and it says which' "$(cat "$work/health")"; fi
write outage_trade_ledger 500
eventually 90 $((OUTAGE_ROWS + 500)) status trade-ledger published_rows
expect 'the others go on' $((OUTAGE_ROWS + 500)) "$got"
sql postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(300)%' AND pid <> pg_backend_pid()" >/dev/null
wait "$blocker" 2>/dev/null
eventually 60 200 health
expect 'and once it may go on, it does' 200 "$got"

# ---- A slot that keeps log: its source is paused, others write ----
curl -sS -X POST "http://127.0.0.1:$OUTBOX_RELAY_PORT/sources/log/pause" >/dev/null
eventually 90 paused status log state
sql outage_identity "CREATE TABLE other AS SELECT repeat('x', 1000) AS x FROM generate_series(1, 30000)"
eventually 90 503 health
expect 'a slot that keeps more log than the setting makes it unhealthy' 503 "$got"
if grep -q 'source log: its slot keeps' "$work/health"; then pass 'and it says which'; else wrong 'and it says which' "$(cat "$work/health")"; fi
kept=$(metric wal_retained_bytes log)
if [ "${kept:-0}" -gt 16777216 ] && [ "$(status log wal_retained_bytes)" -gt 16777216 ]; then pass 'so do metric and status'; else wrong 'so do metric and status' "$kept"; fi
curl -sS -X POST "http://127.0.0.1:$OUTBOX_RELAY_PORT/sources/log/resume" >/dev/null
eventually 60 200 health
expect 'resumed, it lets go of the log' 200 "$got"
if grep -E 'AddressSanitizer|LeakSanitizer|runtime error: ' "$work/log"; then wrong 'no sanitizer complains'; fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
