#!/bin/bash
# fuzz_test.sh ROOT BUILD PROTO-BUILD [SECONDS] -- the fuzzers of commands and snapshots, each with its corpus and a few seconds of new
# inputs; where there is no clang, skipped (77). Longer: tests/fuzz_test.sh … 600
set -eu
root=$1 work=$2/fuzz proto=$3 seconds=${4:-${FUZZ_SECONDS:-4}}
command -v clang >/dev/null || exit 77
here=$root/services/matching-engine
mkdir -p "$work"
# shellcheck disable=SC2207,SC2046,SC2012 # lists
common=($(ls "$here"/core_*.c) "$here/book.c" "$here/engine_core.c" "$here/settlement.c"
    $(for name in arena base error event event_time text trace; do echo "$root/libevent-bus/src/$name.c"; done)
    "$proto"/*.pb-c.c -I"$proto" -I"$here" -I"$root/libevent-bus/include" $(pkg-config --cflags --libs rdkafka libprotobuf-c zlib 2>/dev/null))
for what in commands:commands.c snapshot:snapshot_format.c; do
    name=${what%:*}
    clang -std=gnu17 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
        "$here/tests/fuzz_$name.c" "$here/${what#*:}" "${common[@]}" -o "$work/fuzz_$name"
    mkdir -p "$work/found-$name"
    "$work/fuzz_$name" -max_len=4000 -max_total_time="$seconds" -verbosity=0 -print_final_stats=1 -artifact_prefix="$work/" \
        "$work/found-$name" "$here/tests/corpus/$name"
done
