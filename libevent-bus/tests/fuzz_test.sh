#!/bin/bash
# fuzz_test.sh SOURCE BUILD [SECONDS] -- the header fuzzer with its corpus and a few seconds of new inputs; where there is no clang,
# skipped (77). Longer: tests/fuzz_test.sh libevent-bus build/libevent-bus 600
set -eu
source=$1 work=$2/fuzz seconds=${3:-${FUZZ_SECONDS:-2}}
command -v clang >/dev/null || exit 77
mkdir -p "$work/found"
cd "$source"
# shellcheck disable=SC2046 # flags are words
[ -x "$work/fuzz_headers" ] && [ -z "$(find src include tests/fuzz_headers.c -newer "$work/fuzz_headers" -print -quit)" ] ||
    clang -std=gnu17 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Iinclude tests/fuzz_headers.c \
        src/event.c src/arena.c src/event_time.c src/trace.c src/text.c src/error.c src/base.c \
        $(pkg-config --cflags --libs rdkafka libprotobuf-c) -o "$work/fuzz_headers" || exit 1
cd "$work"
exec ./fuzz_headers -max_len=1024 -max_total_time="$seconds" -verbosity=0 -print_final_stats=1 -artifact_prefix="$work/" \
    "$work/found" "$source/tests/corpus"
