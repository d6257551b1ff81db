#!/usr/bin/env bash
# The launcher keeps its word: up twice, a crash seen in status, down and up with state kept, wrong settings named, reset.
. "$(dirname "$0")/lib"
system_up

refuses() { # NAME WANTED_WORDS COMMAND…: fails, and says why
    local name=$1 words=$2 output
    shift 2
    if output=$("$@" 2>&1); then
        fail "$name" 'it succeeded'
    elif [[ $output == *"$words"* ]]; then
        pass "$name"
    else
        fail "$name" "wanted: $words" "got:    $output"
    fi
}
process() { penstock status --json | jq -r ".[] | select(.process == \"$1\") | .$2"; }
restarted() { [ "$(process "$1" restarts)" -gt 0 ] && [ "$(process "$1" healthy)" = true ]; }

succeeds 'status is 0 when all is well' penstock status
pids=$(penstock status --json | jq -c '[.[].pid]')
succeeds 'up again is fine' penstock up --no-demo
expect 'and disturbs nothing' "$pids" "$(penstock status --json | jq -c '[.[].pid]')"
refuses 'a running system cannot be given another port' "it runs with GATEWAY_PORT=$GATEWAY_PORT" env GATEWAY_PORT=1 "$root/penstock" up
refuses 'an unknown option is named' 'unknown option --fast' penstock up --fast
refuses 'an unknown command is refused' frobnicate penstock frobnicate
refuses 'a log that is not there is said' 'no log of nobody' penstock logs nobody
expect 'logs shows a service' true "$(penstock logs identity | grep -q listening && echo true)"
refuses 'reset asks first' 'nothing was deleted' penstock reset <<<no

for victim in identity postgres kafka; do
    kill -9 "$(process "$victim" pid)"
    if eventually 60 restarted "$victim"; then pass "a killed $victim comes back and status tells"; else
        fail "a killed $victim comes back and status tells" "$(penstock status)"
    fi
done
supervisor=$(sed -n 's/^supervisor=//p' "$PENSTOCK_HOME/run/identity.state")
kill -9 "$supervisor"
gone() { ! curl -sf "http://127.0.0.1:$IDENTITY_PORT/health"; }
if eventually 20 gone; then pass 'a process does not outlive its supervisor'; else fail 'a process does not outlive its supervisor'; fi
succeeds 'and up brings both back' penstock up --no-demo
succeeds 'all is well again' penstock status
expect 'passwords are readable by their owner alone' '' "$(find "$PENSTOCK_HOME/secrets" -type f -perm /077)"
expect 'no password is on a command line' '' \
    "$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' | grep -oFf "$PENSTOCK_HOME/secrets/trade-ledger" || true)"

user keeper
keeper=$token
api POST /api/fund/topup '{"currency":"USD","amount":"17"}' "$(new_key)"
expect 'money before down' 201 "$status"
succeeds 'down stops it' penstock down
expect 'status of a stopped system is 3' 3 "$(penstock status >/dev/null 2>&1; echo $?)"
left=$(pgrep -f -- "$PENSTOCK_HOME/" || true)
expect 'no process is left' '' "$left"
begin=$SECONDS
succeeds 'up again' penstock up --no-demo
note "up again took $((SECONDS - begin)) s"
token=$keeper
expect 'state is kept' 17 "$(balance USD available | sed 's/\.0*$//')"

succeeds 'down again' penstock down
python3 -m http.server --bind 127.0.0.1 "$GATEWAY_PORT" >/dev/null 2>&1 &
stranger=$!
stranger_listens() { (exec 3<>"/dev/tcp/127.0.0.1/$GATEWAY_PORT"); }
eventually 10 stranger_listens
refuses 'a taken port is named with its setting' "port $GATEWAY_PORT is taken by another program; GATEWAY_PORT" penstock up --no-demo
kill "$stranger"
refuses 'a port that is none is named' 'KAFKA_PORT: x is not a port' env KAFKA_PORT=x "$root/penstock" up --no-demo
succeeds 'reset deletes' penstock reset --yes
expect 'and nothing is left' '' "$(find "$PENSTOCK_HOME" -mindepth 1 -maxdepth 1 \( -name postgres -o -name kafka -o -name secrets \))"
