#!/usr/bin/env bash
# What the launcher refuses, and how it keeps processes and passwords; lifecycle.sh has what up, down and reset promise.
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
refuses 'a running system cannot be given another port' "it runs with GATEWAY_PORT=$GATEWAY_PORT" env GATEWAY_PORT=1 "$root/penstock" up
refuses 'an unknown option is named' 'unknown option --fast' penstock up --fast
refuses 'an unknown command is refused' frobnicate penstock frobnicate
refuses 'a log that is not there is said' 'no log of nobody' penstock logs nobody
supervisor=$(sed -n 's/^supervisor=//p' "$PENSTOCK_HOME/run/identity.state")
pid=$(sed -n 's/^pid=//p' "$PENSTOCK_HOME/run/identity.state")
kill -9 "$supervisor"
gone() { ! kill -0 "$pid"; }
if eventually 90 gone; then pass 'a process does not outlive its supervisor'; else fail 'a process does not outlive its supervisor'; fi
succeeds 'and up brings both back' penstock up --no-demo
succeeds 'all is well again' penstock status
expect 'passwords are readable by their owner alone' '' "$(find "$PENSTOCK_HOME/secrets" -type f -perm /077)"
expect 'no password is on a command line' '' \
    "$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' | grep -oFf "$PENSTOCK_HOME/secrets/trade-ledger" || true)"

succeeds 'another signing key is asked for' penstock rotate-key
two_keys() { [ "$(curl -sS "$url/.well-known/jwks.json" | jq '.keys | length')" = 2 ]; }
if eventually 60 two_keys; then pass 'and published'; else fail 'and published' "$(curl -sS "$url/.well-known/jwks.json")"; fi
refuses 'one at a time' 'the next key is there already' penstock rotate-key

succeeds 'down stops it' penstock down
python3 -m http.server --bind 127.0.0.1 "$GATEWAY_PORT" >/dev/null 2>&1 &
stranger=$!
stranger_listens() { (exec 3<>"/dev/tcp/127.0.0.1/$GATEWAY_PORT"); }
eventually 90 stranger_listens
refuses 'a taken port is named with its setting' "port $GATEWAY_PORT is taken by another program; GATEWAY_PORT" penstock up --no-demo
kill "$stranger"
