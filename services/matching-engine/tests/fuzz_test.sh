#!/bin/bash
# fuzz_test.sh CORPUS WORK FUZZER… -- each fuzz-NAME with its corpus, CORPUS/NAME, and a few seconds of new inputs (FUZZ_SECONDS). What
# it finds is kept in WORK.
set -eu
corpus=$1 work=$2
shift 2
for fuzzer; do
    name=${fuzzer##*/fuzz-}
    mkdir -p "$work/found-$name"
    "$fuzzer" -max_len=4000 -max_total_time="${FUZZ_SECONDS:-3}" -verbosity=0 -print_final_stats=1 -artifact_prefix="$work/" \
        "$work/found-$name" "$corpus/$name"
done
