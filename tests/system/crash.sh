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

pid_of() { sed -n 's/^pid=//p' "$PENSTOCK_HOME/run/$1.state"; }
kill_hard() { kill -9 "$(pid_of "$1")" 2>/dev/null || true; }

load "$PENSTOCK_HOME/acked" --rate 400 --seconds $((seconds + 10)) >"$PENSTOCK_HOME/load.json" &
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
if wait $load; then pass 'every request of the load was answered'; else fail 'every request of the load was answered' "$(cat "$PENSTOCK_HOME/load.json")"; fi
cat "$PENSTOCK_HOME/load.json"
expect 'restarts are visible in status' true "$(penstock status --json | jq '[.[] | .restarts] | add > 3')"
check_after_crashes "$PENSTOCK_HOME/acked"
