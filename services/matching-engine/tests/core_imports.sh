#!/bin/bash
# core_imports.sh LIBRARY -- what the core needs from outside: memory when it starts and ends, and nothing else. No I/O, no clock, no
# randomness, no threads.
set -eu -o pipefail
wanted=$(nm -u "$1" | awk 'NF == 2 { print $2 }' | sort -u)
own=$(nm --defined-only "$1" | awk 'NF == 3 { print $3 }' | sort -u)
strange=$(comm -23 <(echo "$wanted") <(echo "$own") | grep -vxE \
    'calloc|malloc|free|mmap(64)?|munmap|madvise|mem(set|cpy|move|chr|cmp)|strcmp|__assert_fail|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|__(asan|ubsan|tsan|sanitizer|gcov)_.*' || true)
[ -n "$wanted" ] || { echo 'no imports at all: is this the core?'; exit 1; }
[ -z "$strange" ] || { echo "the core calls: $strange"; exit 1; }
