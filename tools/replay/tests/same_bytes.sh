#!/usr/bin/env bash
# same_bytes.sh ENGINE-REPLAY WORKLOAD RANDOM-STEPS SOURCE… -- the same log gives the same bytes: twice, in other batches, with the
# engine made anew from its state at random points, and built by another compiler with other optimisation. SOURCEs are all C
# files of engine-replay with a main, to be compiled here. SEED=n repeats a run.
set -eu
replay=$1 workload=$2 random_steps=$3
shift 3
root=$(cd "$(dirname "$0")/../../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
seed=${SEED:-$(date +%s)}
echo "SEED=$seed"

die() { echo "FAILED: $*" >&2; exit 1; }

# digest FILE REPLAY OPTION…: all that is printed, but for speed
digest() {
    local file=$1 program=$2
    shift 2
    "$program" --level3 "$@" "$file" 2>"$work/err" || die "engine-replay $* $file: $(cat "$work/err")"
}

"$random_steps" 0 10000 "$seed" >"$work/steps-0"
"$random_steps" 1 30000 "$seed" >"$work/steps-1" # limits and bands refuse much: fewer fills
"$workload" mixed-1k "$work/mixed" 20000 "$seed" 2>"$work/err"
"$workload" flow-crash "$work/crash" 20000 "$seed" 2>"$work/err"

compilers=0
for compiler in 'gcc -O0' 'clang -O1'; do
    command -v "${compiler%% *}" >/dev/null || continue
    # shellcheck disable=SC2086 # a command and its option
    $compiler -std=gnu17 -D_GNU_SOURCE -I"$root/services/matching-engine" -I"$root/libevent-bus/include" -I"$root/bench/engine" \
        -I"$root/tools/replay" "$@" -o "$work/replay-$compilers" || die "$compiler does not compile it"
    compilers=$((compilers + 1))
done
[ $compilers -gt 0 ] || die 'no compiler'

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
    for ((i = 0; i < compilers; i++)); do same "$file" "$work/replay-$i"; done
done
# The check itself: one command less must show.
head -n -1 "$work/steps-0" >"$work/shorter"
tail -n 1 "$work/steps-0" | grep -q '^ ' && head -n -9 "$work/steps-0" >"$work/shorter"
[ "$(digest "$work/steps-0" "$replay")" != "$(digest "$work/shorter" "$replay" 2>/dev/null)" ] || die 'a missing command does not show'
echo "$checked comparisons, $compilers other builds"
