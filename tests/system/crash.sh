#!/usr/bin/env bash
# Kills each process with SIGKILL under load, at named points and at random; afterwards: every order that was answered with 201
# exists, nothing happened twice, the ledger sums to zero, and log, database and engine agree.
# CRASH_SECONDS (default 45) is how long the random part lasts.
. "$(dirname "$0")/lib"
system_up
seconds=${CRASH_SECONDS:-45}
seed=${SEED:-$RANDOM}
note "seed $seed (SEED=$seed repeats the choice of victims)"
RANDOM=$seed

[ -x "$PENSTOCK_BUILD/bench/penstock-load" ] || { fail "$PENSTOCK_BUILD/bench/penstock-load is there"; exit 1; }
pid_of() { sed -n 's/^pid=//p' "$PENSTOCK_HOME/run/$1.state"; }
kill_hard() { kill -9 "$(pid_of "$1")" 2>/dev/null || true; }

"$PENSTOCK_BUILD/bench/penstock-load" --port "$GATEWAY_PORT" --users 8 --connections 16 --rate 400 --seconds $((seconds + 10)) \
    --drain 120 --acked "$PENSTOCK_HOME/acked" --json >"$PENSTOCK_HOME/load.json" 2>"$PENSTOCK_HOME/load.err" &
load=$!
sleep 6
victims=(outbox-relay matching-engine trade-ledger gateway identity postgres kafka)
end=$((SECONDS + seconds))
round=0
while [ $SECONDS -lt $end ]; do
    if [ $round -lt ${#victims[@]} ]; then victim=${victims[$round]}; else victim=${victims[$((RANDOM % 4))]}; fi
    round=$((round + 1))
    note "killing $victim"
    kill_hard "$victim"
    sleep "$((2 + RANDOM % 3)).$((RANDOM % 10))"
done
if wait $load; then pass 'every request of the load was answered'; else fail 'every request of the load was answered' "$(cat "$PENSTOCK_HOME/load.err")"; fi
cat "$PENSTOCK_HOME/load.json"
healthy() { curl -fsS "$url/health/services"; }
if eventually 60 healthy; then pass 'all services are healthy again'; else fail 'all services are healthy again' "$(penstock status)"; fi
expect 'restarts are visible in status' true "$(penstock status --json | jq '[.[] | .restarts] | add > 3')"

dsn=$(cat "$PENSTOCK_HOME/secrets/trade-ledger.url")
lost() {
    sort -n "$PENSTOCK_HOME/acked" >"$PENSTOCK_HOME/acked.sorted"
    psql "$dsn" -Atc 'SELECT id FROM orders ORDER BY id' | sort >"$PENSTOCK_HOME/orders"
    sort "$PENSTOCK_HOME/acked" | comm -23 - "$PENSTOCK_HOME/orders" | head -5
}
expect 'every order acknowledged with 201 exists' '' "$(lost)"
note "$(wc -l <"$PENSTOCK_HOME/acked") orders acknowledged, $(psql "$dsn" -Atc 'SELECT count(*) FROM trades') trades"
expect 'the load had orders acknowledged' true "$([ "$(wc -l <"$PENSTOCK_HOME/acked")" -gt 500 ] && echo true)"
expect 'the load traded' true "$([ "$(psql "$dsn" -Atc 'SELECT count(*) FROM trades')" -gt 50 ] && echo true)"
expect 'the ledger sums to zero per asset' '' "$(psql "$dsn" -Atc 'SELECT asset_id, sum(available + held) FROM accounts GROUP BY 1 HAVING sum(available + held) <> 0')"
twice() { penstock events tail "$1" --from beginning --until-end --json | jq -r '.source + " " + .id' | sort | uniq -d | head -3; }
for topic in trades.v1 ledger.postings.v1 orders.accepted.v1 orders.events.v1 ledger.entries.v1; do
    expect "no ce_id twice on $topic" '' "$(twice $topic)"
done
quiet() { penstock verify --timeout 20; }
if eventually 60 quiet; then pass 'the log, the database and the engine agree'; else fail 'the log, the database and the engine agree' "$(penstock verify 2>&1)"; fi
