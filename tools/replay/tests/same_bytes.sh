#!/usr/bin/env bash
# same_bytes.sh ENGINE-REPLAY WORKLOAD RANDOM-STEPS OTHER-REPLAY… -- the same log gives the same bytes: twice, in other batches, with the
# engine made anew from its state at random points, and built by other compilers with other optimisation: OTHER-REPLAYs. SEED=n repeats
# a run; STEPS=n (10000) makes it longer.
set -eu
replay=$1 workload=$2 random_steps=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
seed=${SEED:-$(date +%s)} steps=${STEPS:-10000}
echo "SEED=$seed"

die() { echo "FAILED: $*" >&2; exit 1; }

# digest FILE REPLAY OPTION…: all that is printed, but for speed
digest() {
    local file=$1 program=$2
    shift 2
    "$program" --level3 "$@" "$file" 2>"$work/err" || die "engine-replay $* $file: $(cat "$work/err")"
}

"$random_steps" 0 "$steps" "$seed" >"$work/steps-0"
"$random_steps" 1 $((3 * steps)) "$seed" >"$work/steps-1" # limits and bands refuse much: fewer fills
"$workload" mixed-1k "$work/mixed" $((2 * steps)) "$seed" 2>"$work/err"
"$workload" flow-crash "$work/crash" $((2 * steps)) "$seed" 2>"$work/err"

[ $# -gt 0 ] || die 'no other compiler'

checked=0
same() { # FILE PROGRAM OPTION…
    local is
    is=$(digest "$@")
    [ "$is" = "$truth" ] || die "$* gives something else: $(diff <(echo "$truth") <(echo "$is") | head -5)"
    checked=$((checked + 1))
}
for file in "$work/steps-0" "$work/steps-1" "$work/mixed" "$work/crash"; do
    truth=$(digest "$file" "$replay")
    [ "$(sed -n 's/^fills //p' <<<"$truth")" -gt 200 ] || die "$file has hardly any fills"
    same "$file" "$replay"
    same "$file" "$replay" --batch 1
    same "$file" "$replay" --batch 4096
    same "$file" "$replay" --restart-every 100 --seed "$seed"
    grep -q ' [1-9][0-9]* restarts' "$work/err" || [ "${file##*/}" != steps-0 ] || die 'it was never restarted'
    same "$file" "$replay" --restart-every 17 --seed 3
    for other; do same "$file" "$other"; done
done
# The check itself: one command less must show.
head -n -1 "$work/steps-0" >"$work/shorter"
tail -n 1 "$work/steps-0" | grep -q '^ ' && head -n -9 "$work/steps-0" >"$work/shorter"
[ "$(digest "$work/steps-0" "$replay")" != "$(digest "$work/shorter" "$replay" 2>/dev/null)" ] || die 'a missing command does not show'
echo "$checked comparisons, $# other builds"
