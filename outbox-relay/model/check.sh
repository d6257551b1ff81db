#!/bin/bash
# check.sh -- lets spin try every run of relay.pml: as it is, no claim may fail; with a safeguard taken out, the named claim must.
#
#     check.sh            both, as in the tests
#     check.sh large      the same with more troubles and transactions: three minutes of a core, and 5 GB
#     check.sh DEFINE…    one run with these -D, printed step by step if a claim fails: check.sh NO_FLUSH; check.sh TXS=3 TROUBLES=2
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
slots=22 # 2^22 in the table of states

# run NAME DEFINE… -- the verdict in $folder/NAME.log, the run in which a claim failed in $folder/NAME.steps
run() {
    local name=$1 work=$folder/$1 optimise=-O0 defines
    shift
    defines=("${@/#/-D}")
    mkdir "$work" && cd "$work"
    [[ $name == holds* ]] && optimise=-O2
    spin -a "${defines[@]}" "$here/relay.pml" >spin.log 2>&1 || { cat spin.log; touch "$folder/failed"; return; }
    gcc $optimise -w -DSAFETY -DCOLLAPSE -o pan pan.c
    ./pan -m100000 -w$slots >"$folder/$name.log" 2>&1 || true
    cp "$here/relay.pml" . # the trail names it by its path, spin looks beside the trail
    [ ! -f relay.pml.trail ] || spin -t -p -k relay.pml.trail "${defines[@]}" "$here/relay.pml" >"$folder/$name.steps" 2>&1 || true
    cd /
}

# The whole search was made, nothing was found.
holds() { # NAME DEFINE…
    run "holds-$1" "${@:2}"
    if grep -q 'errors: 0' "$folder/holds-$1.log" && ! grep -qE 'not completed|max search depth|out of memory' "$folder/holds-$1.log"; then
        echo "ok - $1: every claim holds in $(awk '/states, stored/ { print $1 }' "$folder/holds-$1.log") states"
    else
        touch "$folder/failed"
        echo "not ok - $1"
        cat "$folder/holds-$1.log"
        tail -60 "$folder/holds-$1.steps" 2>/dev/null || true
    fi
}

# With this safeguard taken out, that claim alone is examined, and fails.
breaks() { # DEFINE CLAIM DEFINE…
    run "$1" "$1" CLAIMS="$2" "${@:3}"
    if grep -q 'assertion violated' "$folder/$1.log"; then
        echo "ok - $1: $2 fails, as it must"
    else
        touch "$folder/failed"
        echo "not ok - $1: $2 should fail"
        cat "$folder/$1.log"
    fi
}

# One search is one process: as many as there are cores.
beside() { # holds|breaks ARGUMENT…
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
    "$@" &
}

if [ $# -gt 0 ] && [ "$1" != large ]; then
    run asked "$@"
    cat "$folder/asked.steps" "$folder/asked.log" 2>/dev/null
    grep -q 'errors: 0' "$folder/asked.log"
    exit
fi

beside holds 'two relays, two troubles' TXS=2 TROUBLES=2
beside holds 'three transactions, one relay, one trouble' TXS=3 RELAYS=1 TROUBLES=1
beside holds 'two relays, another source on the position topic' TXS=2 TROUBLES=1 OTHERS=1

if [ "${1:-}" = large ]; then
    slots=26
    beside holds 'three transactions, two relays, one trouble' TXS=3 TROUBLES=1
    beside holds 'three transactions, one relay, two troubles' TXS=3 RELAYS=1 TROUBLES=2
    slots=22
fi

beside breaks POSITION_OUTSIDE NO_DUPLICATE TXS=2 TROUBLES=1
beside breaks POSITION_AT_DELIVERY NO_LOSS TXS=2 TROUBLES=1
beside breaks NO_FENCE NO_DUPLICATE TXS=2 TROUBLES=1
beside breaks READ_BEFORE_FENCE NO_DUPLICATE TXS=2 TROUBLES=2
beside breaks READ_BETWEEN_FENCES NO_DUPLICATE TXS=2 TROUBLES=2
beside breaks ANY_ID_FIRST NO_DUPLICATE TXS=2 TROUBLES=2
beside breaks READ_TO_LSO NO_DUPLICATE TXS=2 TROUBLES=1 OTHERS=1
beside breaks UNKNOWN_IS_FAILURE NO_DUPLICATE TXS=2 TROUBLES=1
beside breaks UNKNOWN_IS_SUCCESS NO_LOSS TXS=2 TROUBLES=2
beside breaks CLEANUP_AT_DELIVERY NO_LOSS TXS=2 TROUBLES=1
beside breaks CLEANUP_BY_XMAX NO_LOSS TXS=2 TROUBLES=1
beside breaks POSITION_BY_ID NO_LOSS TXS=3 TROUBLES=0
beside breaks XID_HORIZON ORDER TXS=2 TROUBLES=0
beside breaks NO_FLUSH NO_LOSS TXS=2 TROUBLES=1
beside breaks READ_UNCOMMITTED NO_DUPLICATE TXS=2 TROUBLES=1
wait
[ ! -e "$folder/failed" ]
