#!/bin/bash
# fuzz_test.sh SOURCE BUILD [SECONDS] -- the fuzzer of what a replication connection sends, with its corpus and some seconds of new
# inputs; where there is no clang, skipped (77). Longer: outbox-relay/tests/fuzz_test.sh outbox-relay build/outbox-relay 600
#
# New inputs that reach new code stay in BUILD/fuzz/found; to keep one, move it to tests/pgoutput_corpus under a name that says what it is.
set -eu
source=$(cd "$1" && pwd) bus=$source/../libevent-bus
mkdir -p "$2/fuzz/found"
work=$(cd "$2/fuzz" && pwd) seconds=${3:-${FUZZ_SECONDS:-2}}
command -v clang >/dev/null || exit 77
# shellcheck disable=SC2046 # flags are words
[ -x "$work/fuzz_pgoutput" ] &&
    [ -z "$(find "$source/tests/fuzz_pgoutput.c" "$source"/pgoutput.[ch] "$bus/include" "$bus/src" -newer "$work/fuzz_pgoutput" -print -quit)" ] ||
    clang -std=gnu17 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I"$source" -I"$bus/include" \
        "$source/tests/fuzz_pgoutput.c" "$source/pgoutput.c" "$bus/src/error.c" "$bus/src/base.c" \
        $(pkg-config --cflags --libs rdkafka libpq) -o "$work/fuzz_pgoutput" || exit 1
cd "$work"
exec ./fuzz_pgoutput -max_len=4096 -max_total_time="$seconds" -verbosity=0 -print_final_stats=1 -artifact_prefix="$work/" \
    "$work/found" "$source/tests/pgoutput_corpus"
