#!/usr/bin/env bash
# Each named crash point that our services reach is visited once, under load: the process dies by SIGKILL exactly there, comes
# back by itself, and afterwards what check_after_crashes tells must hold. A point that none of them reaches has to be visited by
# a test of the room that it is in.
# A round restarts the three processes that have points, each told one of them; the load goes by them often enough to reach the
# n-th visit in its middle, with work before and behind it.
. "$(dirname "$0")/lib"
# The consumers' points come late enough that the load's users, whom the ledger hears of as events, are funded by then.
rounds=(
    'outbox-relay=relay.read:15 matching-engine=engine.produced:10 trade-ledger=ledger.decided:60'
    'outbox-relay=relay.produced:15 matching-engine=engine.offsets_sent:10 trade-ledger=ledger.booked:10'
    'outbox-relay=relay.delivered:15 matching-engine=engine.committed:10 trade-ledger=lane.committed:60'
    'outbox-relay=relay.committed:15 matching-engine=engine.snapshot_written:2 trade-ledger=consumer.handled:40'
    'trade-ledger=consumer.committed:40'
)
export MATCHING_ENGINE_SNAPSHOT_EVERY=300 # several in each load

places() { # of each its file and its name
    (cd "$root" && git ls-files '*.c' | grep -v /tests/ | xargs grep -o 'crash_point("[^"]*"') | sed 's/:.*("/ /; s/"$//'
}
in_sources() { places | cut -d' ' -f2 | sort; }
visited() { printf '%s\n' "${rounds[@]}" | tr ' ' '\n' | sed 's/.*=//; s/:.*//' | sort; }
forgotten() { # neither visited here nor named in a test of its own room
    local file point room
    while read -r file point; do
        room=${file%/*}
        grep -qx "$point" <<<"$(visited)" || grep -rqE "\"$point(:[0-9%]|\")" "$root/${room%/src}/tests" || echo "$point"
    done < <(places)
}
expect 'a crash point has one place in the sources' '' "$(in_sources | uniq -d)"
expect 'every crash point of the sources is visited, here or by a test of its room' '' "$(forgotten)"
expect 'what is visited here is a crash point of the sources' '' "$(comm -13 <(in_sources) <(visited))"

state_of() { sed -n "s/^$2=//p" "$PENSTOCK_HOME/run/$1.state"; } # PROCESS KEY
stop() { # PROCESS…: their supervisors too, so that `up` starts them with its own environment
    local process supervisors=()
    for process; do supervisors+=("$(state_of "$process" supervisor)"); done
    kill -TERM "${supervisors[@]}"
    for supervisor in "${supervisors[@]}"; do
        while kill -0 "$supervisor" 2>/dev/null; do sleep 0.05; done
    done
}
# died PROCESS POINT: the process says in its log where it ends, its supervisor that it was SIGKILL (128 + 9), once.
died() {
    grep -qx "crash point $2" "$PENSTOCK_HOME/log/$1.log" && [ "$(state_of "$1" last_exit) $(state_of "$1" restarts)" = '137 1' ]
}
all_died() { # PROCESS=POINT:N…
    local step
    for step; do died "${step%%=*}" "$(sed 's/.*=//; s/:.*//' <<<"$step")" || return 1; done
}

system_up
acked=()
for round in "${rounds[@]}"; do
    read -ra steps <<<"$round"
    stop "${steps[@]%%=*}"
    points=$(IFS=,; echo "${steps[*]#*=}")
    succeeds "it starts, to crash at $points" env CRASH_AT="$points" "$root/penstock" up --no-demo
    # A slow machine makes few and large batches, so that a point's nth visit may need more than one load.
    for ((loads = 0; loads < 5; loads++)); do
        acked+=("$PENSTOCK_HOME/acked-${#acked[@]}")
        succeeds 'every request of the load was answered' load "${acked[-1]}" --rate 300 --seconds 6
        ! eventually 5 all_died "${steps[@]}" || break
    done
    for step in "${steps[@]}"; do
        process=${step%%=*} point=${step#*=}
        if eventually 20 died "$process" "${point%:*}"; then
            pass "$process dies at $point and is started again"
        else
            fail "$process dies at $point and is started again" "$(cat "$PENSTOCK_HOME/run/$process.state")"
        fi
    done
done
check_after_crashes "${acked[@]}"
