#!/usr/bin/env bash
# torture.sh -- writers at full speed, with rollbacks, long transactions, transactions that take their number before they wait, and
# commits that do not wait for the disk, while Postgres, Kafka and two relays are killed (kill -9) or stopped and woken at random.
# Afterwards the topics must hold exactly the committed rows, each once, each key in order, with the content it was given.
#
#   TORTURE_SECONDS (100)  of all modes together; 600 for the long run
#   TORTURE_MODES (poll wal)  one after the other, sharing the time
#   TORTURE_CONNECTIONS (4), TORTURE_RATE (rows/s, 12000; 0: as fast as it goes), SEED
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${PENSTOCK_BUILD:=$root/build-test}" "${TORTURE_SECONDS:=100}" "${TORTURE_MODES:=poll wal}" "${TORTURE_CONNECTIONS:=4}" "${TORTURE_RATE:=12000}"
: "${SEED:=$RANDOM}" "${PENSTOCK_CACHE:=$root/var/cache}"
export PENSTOCK_BUILD TORTURE_SECONDS TORTURE_MODES TORTURE_CONNECTIONS TORTURE_RATE SEED PENSTOCK_CACHE
[ -n "${PENSTOCK_SERVERS:-}" ] || exec "$root/tests/with-servers" "${BASH_SOURCE[0]}"

. "$root/tools/launcher/ports.sh"
echo "-- seed $SEED (SEED=$SEED repeats the choice of victims and the content of the rows)"
RANDOM=$SEED
torture=$PENSTOCK_BUILD/tests/torture/penstock-torture
failed=0
started=() # to be killed when this ends

pass() { printf 'ok %s\n' "$1"; }
fail() { failed=1; printf 'not ok %s\n' "$1"; }

end() {
    trap - EXIT
    for pid in "${started[@]}"; do kill -CONT "$pid" 2>/dev/null || true; kill -TERM "$pid" 2>/dev/null || true; done
    wait
}
trap end EXIT

server_pid() { sed -n 's/^pid=//p' "$PENSTOCK_SERVERS/run/$1.state"; }

# One relay that always comes back: its pid is in $work/relay-N.pid.
keep_relay() { # N PORT
    local pid='' over=''
    trap 'over=1; [ -z "$pid" ] || kill -TERM "$pid" 2>/dev/null' TERM
    while [ -z "$over" ]; do
        OUTBOX_RELAY_PORT=$2 "$PENSTOCK_BUILD/outbox-relay/outbox-relay" >>"$work/relay-$1.log" 2>&1 &
        pid=$!
        echo "$pid" >"$work/relay-$1.pid"
        wait "$pid" || true
        [ -n "$over" ] || sleep 0.3
    done
    wait "$pid" 2>/dev/null || true
}

begin() { # MODE
    work=$(mktemp -d "$TMPDIR/torture-$1-XXXX")
    export TOPIC_PREFIX="torture-$1-" DATABASE_PREFIX="torture_${1}_"
    local server=${POSTGRES_URL%/*} database=${DATABASE_PREFIX}trade_ledger
    "$root/tools/migrate" --quiet trade-ledger
    export TORTURE_POSTGRES_URL=$server/$database
    "$torture" keys | psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 "$TORTURE_POSTGRES_URL"
    "$PENSTOCK_BUILD/tools/penstock-topics" --quiet "$root/schemas/asyncapi.yaml"
    export OUTBOX_RELAY_SOURCES=trade-ledger OUTBOX_RELAY_CLEANUP_DELAY_SECONDS=2 OUTBOX_RELAY_LEASE_MS=1000
    export RELAY_TRADE_LEDGER_POSTGRES_URL="${server/postgres@/${DATABASE_PREFIX}relay@}/$database"
    export OUTBOX_RELAY_TRANSACTION_TIMEOUT_MS=5000 RELAY_TRADE_LEDGER_MODE=$1
    [ "$1" != wal ] || psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 "$TORTURE_POSTGRES_URL" \
        -c "CREATE PUBLICATION outbox FOR TABLE outbox WITH (publish = 'insert')" -c "ALTER ROLE ${DATABASE_PREFIX}relay REPLICATION" \
        -c "ALTER ROLE ${DATABASE_PREFIX}relay SET logical_decoding_work_mem = '64kB'" \
        -c "SELECT pg_create_logical_replication_slot('outbox_relay_trade_ledger', 'pgoutput')" >/dev/null
    # Small limits, so that both ways of reading, and changes between them, are met.
    export OUTBOX_RELAY_WAL_CATCH_UP_BYTES=2097152 OUTBOX_RELAY_WAL_PEEK_CHANGES=20000
}

# Kafka and Postgres come back by themselves, more slowly each time: they are killed less often than relays.
kill_at_random() { # SECONDS
    local until=$((SECONDS + $1)) kafka_at=$((SECONDS + 6)) postgres_at=$((SECONDS + 3)) pid
    local relays=0 stopped=0 brokers=0 databases=0
    while [ $SECONDS -lt $until ]; do
        sleep "$((RANDOM % 2)).$((RANDOM % 10))"
        pid=$(cat "$work/relay-$((1 + RANDOM % 2)).pid" 2>/dev/null || true)
        case $((RANDOM % 8)) in
        0) kill -STOP "$pid" 2>/dev/null || true
            sleep "1.$((RANDOM % 10))" # longer than the lease: the other takes over while this one holds a batch
            kill -CONT "$pid" 2>/dev/null || true
            stopped=$((stopped + 1)) ;;
        *) kill -9 "$pid" 2>/dev/null || true
            relays=$((relays + 1)) ;;
        esac
        if [ $SECONDS -ge $postgres_at ]; then
            kill -9 "$(server_pid postgres)" 2>/dev/null || true
            databases=$((databases + 1)) postgres_at=$((SECONDS + 8 + RANDOM % 8))
        fi
        if [ $SECONDS -ge $kafka_at ]; then
            kill -9 "$(server_pid kafka)" 2>/dev/null || true
            brokers=$((brokers + 1)) kafka_at=$((SECONDS + 16 + RANDOM % 8))
        fi
    done
    echo "-- killed: relays $relays, Kafka $brokers, Postgres $databases; relays stopped and woken: $stopped"
}

torture_mode() { # MODE SECONDS
    local mode=$1 seconds=$2 writer n
    begin "$mode"
    reserve_ports 2
    for n in 1 2; do
        keep_relay $n "${ports[n - 1]}" 2>/dev/null &
        started+=($!)
    done
    "$torture" write "$SEED" "$seconds" "$TORTURE_CONNECTIONS" "$TORTURE_RATE" >"$work/written" 2>"$work/writers.log" &
    writer=$!
    kill_at_random $((seconds - 1))
    if wait "$writer"; then pass "$mode: writers went on through it all"; else fail "$mode: writers went on through it all"; fi
    sed 's/^/-- written (as far as the writers know): /' "$work/written"
    until psql --no-psqlrc -Atc 'SELECT 1' "$TORTURE_POSTGRES_URL" >/dev/null 2>&1; do sleep 0.5; done
    if "$torture" check "$SEED" 120 >"$work/check" 2>"$work/checker.log"; then
        pass "$mode: the topics hold the committed rows, each once and each key in order"
    else
        fail "$mode: the topics hold the committed rows, each once and each key in order"
        tail -n 3 "$work/relay-1.log" "$work/relay-2.log"
    fi
    sed 's/^/-- /' "$work/check"
    if grep -lE 'AddressSanitizer|LeakSanitizer|runtime error: ' "$work"/*.log; then fail "$mode: no sanitizer complains"; fi
    for pid in "${started[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    wait "${started[@]}" 2>/dev/null || true
    started=()
}

read -ra modes <<<"$TORTURE_MODES"
for mode in "${modes[@]}"; do
    torture_mode "$mode" $((TORTURE_SECONDS / ${#modes[@]}))
done
exit $failed
