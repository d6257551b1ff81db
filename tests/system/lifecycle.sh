#!/usr/bin/env bash
# What `up`, `status`, `logs`, `down` and `reset` promise: state is kept, a killed process comes back, nothing is left running,
# two systems stand side by side, a bad setting is named, and spaces in paths do no harm.
. "$(dirname "$0")/lib"

restarts_of() { penstock status --json | jq ".[] | select(.process==\"$1\") | .restarts"; }
pid_of() { sed -n 's/^pid=//p' "$PENSTOCK_HOME/run/$1.state"; }
all_healthy() { penstock status --json | jq -e 'length == 7 and all(.healthy)'; }
healed() { all_healthy && [ "$(restarts_of "$1")" -ge 1 ]; } # more than once, where what it needs was not ready again
log_in() { # EMAIL: sets token
    token=$(curl -sS -X POST "$url/auth/login" -H 'content-type: application/json' \
        -d "{\"email\":\"$1\",\"password\":\"correct horse battery\"}" | jq -r .access_token)
}
# left_of HOME: processes that still mention this home; this shell and its children do not
left_of() { pgrep -af -- "$1" || true; }
answers() { [ "$(curl -s -o /dev/null -w '%{http_code}' "$1")" = "$2" ]; }

system_up
succeeds 'after up, status shows seven healthy processes' eventually 60 all_healthy
succeeds 'status without --json says the same by its exit status' penstock status
pids=$(penstock status --json | jq -c '[.[].pid]')
succeeds 'a second up says it is up' penstock up --no-demo
expect 'and has touched no process' "$pids" "$(penstock status --json | jq -c '[.[].pid]')"
expect 'logs are JSON objects of the service that was asked for' '["matching-engine"]' \
    "$(penstock logs matching-engine | grep '^{' | jq -sc '[.[].service] | unique')"
for process in identity matching-engine postgres; do
    kill -9 "$(pid_of "$process")"
    if eventually 60 healed "$process"; then
        pass "$process, killed, is back, which restarts tell, and all healthy"
    else
        fail "$process, killed, is back, which restarts tell, and all healthy" "$(penstock status)"
    fi
done

email=lifecycle-$RANDOM@test.invalid
token=$(curl -sS -X POST "$url/auth/signup" -H 'content-type: application/json' \
    -d "{\"email\":\"$email\",\"password\":\"correct horse battery\"}" | jq -r .access_token)
api POST /api/fund/topup '{"currency":"USD","amount":"1234.5"}' "$(new_key)"
api POST /api/orders '{"symbol":"BTC-USD","side":"buy","type":"limit","price":"100.00","quantity":"1"}' "$(new_key)"
order=$(jq -r .order_id <<<"$reply")
begin=$SECONDS
succeeds 'down stops it' penstock down
note "down took $((SECONDS - begin)) s"
expect 'no process of this home is left' '' "$(left_of "$PENSTOCK_HOME")"
expect 'status of a stopped system is 3' 3 "$(penstock status >/dev/null 2>&1; echo $?)"
expect 'down again does nothing' 'Nothing is running.' "$(penstock down 2>&1)"

refused=0
said=$(GATEWAY_PORT=http penstock up --no-demo 2>&1) || refused=$?
expect 'a port that is none stops the start' '1 penstock: GATEWAY_PORT: http is not a port' "$refused $said"
refused=0
said=$(GATEWAY_RATE_BURST=abc penstock up --no-demo 2>&1) || refused=$?
expect 'a setting that is no number stops the start' 1 "$refused"
expect 'which is named' true "$(grep -q GATEWAY_RATE_BURST <<<"$said" && echo true)"
refused=0
said=$(RELAY_IDENTITY_MODE=push penstock up --no-demo 2>&1) || refused=$?
expect 'so is one of a single source of the relay' '1 true' "$refused $(grep -q RELAY_IDENTITY_MODE <<<"$said" && echo true)"
expect 'and nothing was started' 'Nothing is running.' "$(penstock down 2>&1)"

begin=${EPOCHREALTIME/[.,]/}
succeeds 'up again' penstock up --no-demo
took_ms=$(((${EPOCHREALTIME/[.,]/} - begin) / 1000))
note "up again took $took_ms ms"
expect 'a warm up takes less than 60 s' true "$([ $took_ms -lt 60000 ] && echo true)"
log_in "$email"
expect 'the user is still there, with money and hold' '1134.5 100' "$(balance USD available) $(balance USD held)"
expect 'the order is still open' accepted "$(order_status "$order")"
in_book() { curl -sS "$url/api/markets/BTC-USD/book" | jq -e '.bids[0].price == "100.00"'; }
if eventually 90 in_book; then pass 'and still in the book'; else fail 'and still in the book'; fi

# A second system: another home and other ports, from a checkout at a path with a space; the programs are those already built.
beside=$(mktemp -d '/tmp/penstock test XXXXXX')
chmod 755 "$beside"
(cd "$root" && git ls-files -z penstock tools schemas tests | xargs -0 cp --parents -t "$beside")
reserve_ports 8
second() {
    env PENSTOCK_HOME="$beside/my data" GATEWAY_PORT="${ports[0]}" TRADE_LEDGER_PORT="${ports[1]}" IDENTITY_PORT="${ports[2]}" \
        MATCHING_ENGINE_PORT="${ports[3]}" OUTBOX_RELAY_PORT="${ports[4]}" POSTGRES_PORT="${ports[5]}" KAFKA_PORT="${ports[6]}" \
        KAFKA_CONTROLLER_PORT="${ports[7]}" "$beside/penstock" "$@"
}
end_both() {
    local status=$?
    second reset --yes >/dev/null 2>&1
    rm -rf "$beside"
    (exit $status)
    system_end
}
trap end_both EXIT
succeeds 'a second system starts beside it, at a path with spaces' second up --no-demo
expect 'the second is healthy' 7 "$(second status --json | jq 'map(select(.healthy)) | length')"
succeeds 'the first still is' eventually 60 all_healthy # a busy machine may be late to answer
curl -sS -o "$beside/login" -X POST "http://127.0.0.1:${ports[0]}/auth/login" -H 'content-type: application/json' \
    -d "{\"email\":\"$email\",\"password\":\"correct horse battery\"}"
expect 'the second does not know the users of the first' urn:penstock:problem:wrong-credentials "$(jq -r .type "$beside/login")"
if eventually 90 second verify; then pass 'the second verifies'; else fail 'the second verifies' "$(second verify 2>&1)"; fi # its markets are still on their way

expect 'reset asks first, and no is no' 1 "$(second reset <<<no >/dev/null 2>&1; echo $?)"
succeeds 'the second is still there' second status
succeeds 'reset --yes' second reset --yes
expect 'nothing of the second runs' '' "$(left_of "$beside/my data")"
expect 'its data is gone' '' "$(find "$beside/my data" -mindepth 1 -maxdepth 1 ! -name cache -printf '%f\n')"
succeeds 'the first is untouched' eventually 60 all_healthy
succeeds 'the log, the database and the engine agree' penstock verify
