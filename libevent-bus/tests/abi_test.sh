#!/bin/bash
# abi_test.sh LIBRARY SOURCE BUILD [--release] -- a program that was linked against the released ABI of this major version still runs:
# nothing that it uses was removed or changed. Additions are fine. Skipped (77) where abidiff is not installed. --release writes the
# baseline anew, which is part of making a release; a change that breaks goes with a new major version.
set -eu -o pipefail
library=$1 source=$2 build=$3
command -v abidw >/dev/null && command -v abidiff >/dev/null || exit 77
major=$(sed -n 's/^#define EVENT_BUS_VERSION_MAJOR  *//p' "$build/include/event_bus/version.h")
baseline=$source/abi/event-bus.$major.abi
if [ "${4:-}" = --release ]; then
    abidw --headers-dir "$source/include/event_bus" --drop-private-types --no-show-locs --no-corpus-path --no-comp-dir-path \
        --type-id-style hash "$library" >"$baseline"
    exit
fi
[ -f "$baseline" ] || { echo "no baseline for major version $major: $baseline"; exit 1; }
if ! abidiff --headers-dir2 "$source/include/event_bus" --drop-private-types --no-added-syms --no-show-locs "$baseline" "$library"; then
    echo 'The ABI of a released major version has changed. Add beside what is there, or make it a new major version.'
    exit 1
fi
