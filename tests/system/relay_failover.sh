#!/usr/bin/env bash
# relay_failover.sh -- the relay beside a primary and a streaming standby of its own: a restart, a failover that loses nothing, and one to
# a standby that lagged, which must be refused however far the new primary has gone since. Poll mode without and with the right to
# ask for the timelines' history; wal mode with a slot carried over, as failover managers do, and without.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${PENSTOCK_BUILD:=$root/build-test}" "${PENSTOCK_CACHE:=$root/var/cache}"
export PENSTOCK_BUILD PENSTOCK_CACHE
[ -n "${PENSTOCK_SERVERS:-}" ] || exec "$root/tests/with-servers" "${BASH_SOURCE[0]}"
# shellcheck source=/dev/null
. "$root/tools/launcher/common.sh"
choose_user
bin=${POSTGRES_BIN:-/usr/lib/postgresql/15/bin}
passed=0 failed=0 relay=''
pass() { passed=$((passed + 1)); printf 'ok %s\n' "$1"; }
wrong() { failed=$((failed + 1)); printf 'not ok %s\n' "$1"; shift; [ $# -eq 0 ] || printf '     %s\n' "$@"; }
expect() { if [ "$2" = "$3" ]; then pass "$1"; else wrong "$1" "wanted: $2" "got:    $3"; fi; }

work=$(mktemp -d "${TMPDIR:-/tmp}/failover-XXXX")
chmod 755 "$work"
. "$root/tools/launcher/ports.sh"
reserve_ports 3
read -r port_a port_b OUTBOX_RELAY_PORT <<<"${ports[*]}"
export OUTBOX_RELAY_PORT OUTBOX_RELAY_SOURCES=trade-ledger OUTBOX_RELAY_MAX_LAG_SECONDS=5 OUTBOX_RELAY_CLEANUP=false
declare -A port=([a]="$port_a" [b]="$port_b")

server() { "${run_as[@]}" "$bin/pg_ctl" -D "$work/$1" -s -w -t 60 "${@:2}" >>"$work/$1.log" 2>&1; }
begin() { server "$1" start -l "$work/$1.server.log" -o "-p ${port[$1]} -k $work/socket"; }
sql() { psql --no-psqlrc "postgresql://postgres@127.0.0.1:${port[$1]}/${3:-$database}" -v ON_ERROR_STOP=1 -Atqc "$2" 2>>"$work/psql.log"; }
stop_relay() { [ -z "$relay" ] || { kill "$relay"; wait "$relay"; } 2>/dev/null; relay=''; }
end() {
    trap - EXIT
    stop_relay
    for one in a b; do [ ! -f "$work/$one/postmaster.pid" ] || server "$one" stop -m immediate; done
    rm -rf "$work"
}
trap end EXIT

# A primary with the ledger's outbox, and a standby that streams from it. fsync is not what this is about.
pair() { # NAME
    for one in a b; do [ ! -f "$work/$one/postmaster.pid" ] || server "$one" stop -m immediate; done
    rm -rf "$work/a" "$work/b"
    mkdir -p "$work/socket" && own "$work/socket" "$work"
    "${run_as[@]}" "$bin/initdb" -D "$work/a" -U postgres --auth=trust --no-instructions --no-sync >"$work/init.log" 2>&1
    printf '%s\n' "listen_addresses = '127.0.0.1'" 'wal_level = logical' 'fsync = off' 'wal_keep_size = 64MB' 'shared_buffers = 32MB' \
        'hot_standby = on' | "${run_as[@]}" tee -a "$work/a/postgresql.conf" >/dev/null
    begin a || { cat "$work/a.log" "$work/a.server.log"; exit 1; }
    export TOPIC_PREFIX="failover-$1-" DATABASE_PREFIX="failover_$1_"
    database=${DATABASE_PREFIX}trade_ledger role=${DATABASE_PREFIX}relay
    POSTGRES_URL=postgresql://postgres@127.0.0.1:$port_a/postgres "$root/tools/migrate" --quiet trade-ledger
    "$PENSTOCK_BUILD/tools/penstock-topics" --quiet "$root/schemas/asyncapi.yaml"
    "${run_as[@]}" "$bin/pg_basebackup" -D "$work/b" -h 127.0.0.1 -p "$port_a" -U postgres -R -c fast --no-sync >>"$work/b.log" 2>&1
    begin b || { cat "$work/b.log" "$work/b.server.log"; exit 1; }
    # Whichever of the two takes writes.
    export RELAY_TRADE_LEDGER_POSTGRES_URL="postgresql://$role@127.0.0.1:$port_a,127.0.0.1:$port_b/$database?target_session_attrs=read-write"
}

start_relay() { "$PENSTOCK_BUILD/outbox-relay/outbox-relay" >>"$work/relay.log" 2>&1 & relay=$!; }
status() { curl -sS "http://127.0.0.1:$OUTBOX_RELAY_PORT/sources" 2>/dev/null | jq -r ".sources[0].$1"; }
eventually() { # SECONDS WANTED COMMAND…: sets got
    local until=$((SECONDS + $1)) wanted=$2
    shift 2
    got=$("$@")
    # shellcheck disable=SC2053 # a pattern
    while [[ $got != $wanted ]] && [ "$SECONDS" -lt "$until" ]; do sleep 0.3; got=$("$@"); done
}
write() { # SERVER FROM TO: one row a transaction
    local n
    for ((n = $2; n <= $3; n++)); do echo "SELECT outbox_write('orders.accepted.v1', 'k', 'T', 'n$n');"; done |
        psql --no-psqlrc "postgresql://postgres@127.0.0.1:${port[$1]}/$database" -qAt >/dev/null
}
numbers() { kcat -b "$KAFKA_BROKERS" -X isolation.level=read_committed -C -t "${TOPIC_PREFIX}orders.accepted.v1" -o beginning -e -q -f '%s\n' 2>/dev/null | tr -d n; }
holds() { # TEXT FROM TO: each once and in order
    local wanted
    wanted=$(seq "$2" "$3" | md5sum)
    eventually 90 "$wanted" eval 'numbers | md5sum'
    expect "$1" "$wanted" "$got"
}
caught_up() { eventually 90 t sql a "SELECT bool_and(replay_lsn >= pg_current_wal_lsn()) FROM pg_stat_replication" postgres; }
fail_over() { server a stop -m immediate; server b promote; }
refused() { # TEXT REASON
    eventually 90 "*$2*" status trouble
    if [[ $got == *"$2"* ]]; then pass "$1"; else wrong "$1" "wanted: $2" "got:    $got" "$(tail -2 "$work/relay.log")"; fi
}
# What a lagging standby misses: it is stopped before rows 101 to 150 are written and published.
lose() {
    server b stop -m fast
    write a 101 150
    holds "$1: rows the standby never got are published" 1 150
    server a stop -m immediate
    begin b
    server b promote
    write b 1001 1200 # more transactions than were lost: numbers alone tell nothing any more
}

# ---- Poll mode, as a role that can do nothing but its work ----
pair poll
start_relay
write a 1 50
holds 'poll: rows are published' 1 50
server a restart -m immediate -l "$work/a.server.log" -o "-p $port_a -k $work/socket"
write a 51 60
holds 'poll: it goes on after Postgres was restarted' 1 60
caught_up
fail_over
write b 61 100
holds 'poll: and after a failover that lost nothing' 1 100
stop_relay

pair lagging
start_relay
write a 1 100
holds 'lagging: rows are published' 1 100
caught_up
lose lagging
refused 'a standby that lagged is refused, though it has gone past the position since' 'are lost here'
health() { curl -sS -o "$work/health" -w '%{http_code}' "http://127.0.0.1:$OUTBOX_RELAY_PORT/health"; }
eventually 90 503 health
expect 'lagging: /health says so' 503 "$got"
holds 'lagging: nothing of it is published' 1 150
sql b "ALTER ROLE $role REPLICATION" postgres
stop_relay
server b restart -m fast -l "$work/b.server.log" -o "-p $port_b -k $work/socket"
start_relay
refused 'with the right to ask for the history, also when it was started again since' 'left timeline 1 at'
sql b "ALTER ROLE $role NOREPLICATION" postgres
stop_relay
start_relay
refused 'without it and started again, it is not guessed' 'cannot be told'
stop_relay
OUTBOX_RELAY_RESET=trade-ledger start_relay
eventually 90 300 status published_rows
expect 'until a reset is asked for: then its rows are published, all of them' 300 "$got"
stop_relay

# ---- Wal mode ----
export RELAY_TRADE_LEDGER_MODE=wal
pair wal
sql a "CREATE PUBLICATION outbox FOR TABLE outbox WITH (publish = 'insert')"
sql a "ALTER ROLE $role REPLICATION" postgres
start_relay
eventually 90 active status state
write a 1 60
holds 'wal: rows are published' 1 60
server a restart -m immediate -l "$work/a.server.log" -o "-p $port_a -k $work/socket"
write a 61 80
holds 'wal: it goes on after Postgres was restarted' 1 80
caught_up
# As failover managers do: the standby gets a copy of the slot.
server b stop -m fast
cp -a "$work/a/pg_replslot/outbox_relay_trade_ledger" "$work/b/pg_replslot/"
begin b
write a 81 90
holds 'wal: rows after the copy of the slot are published' 1 90
caught_up
fail_over
write b 91 100
holds 'wal: with the slot carried over, a failover loses and repeats nothing' 1 100
sql b "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active_pid > 0" >/dev/null
stop_relay
sql b "SELECT pg_drop_replication_slot('outbox_relay_trade_ledger')" >/dev/null
write b 101 110
start_relay
refused 'wal: without the slot it waits instead of skipping' 'is missing, and the stored position is at'
holds 'wal: and publishes nothing' 1 100
stop_relay
if grep -lE 'AddressSanitizer|LeakSanitizer|runtime error: ' "$work/relay.log"; then wrong 'no sanitizer complains'; fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
