#!/bin/bash
# abi_test.sh LIBRARY SOURCE CC [--release] -- the shared library exports what its header declares and nothing else; the header is C and
# C++; and a program that was linked against the released ABI still runs (abidiff against ../abi; not looked at where abidiff is
# not installed). --release writes the baseline anew.
set -eu -o pipefail
library=$1 source=$2 cc=$3 baseline=$2/abi/penstock-engine.0.abi
options=(--drop-private-types --no-show-locs)
if [ "${4:-}" = --release ]; then
    abidw --headers-dir "$source" "${options[@]}" --no-corpus-path --no-comp-dir-path --type-id-style hash "$library" >"$baseline"
    exit
fi
declared=$(grep '^PE_API ' "$source/penstock_engine.h" | grep -o 'pe_[a-z_]*(' | tr -d '(' | sort)
exported=$(nm -D --defined-only "$library" | awk '{ print $3 }' | grep '^pe_' | sort)
others=$(nm -D --defined-only "$library" | awk '{ print $3 }' | grep -v -e '^pe_' -e '^__asan' -e '^__ubsan' -e '^__odr_asan' -e '^__sanitizer' || true)
[ "$declared" = "$exported" ] || { echo 'declared and exported differ:'; diff <(echo "$declared") <(echo "$exported"); exit 1; }
[ -z "$others" ] || { echo "exported besides: $others"; exit 1; }
[ "$(wc -l <<<"$declared")" -ge 10 ] || { echo 'hardly any function was found'; exit 1; }
for language in c c++; do
    echo '#include "penstock_engine.h"' | "$cc" -x $language -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I"$source" -
done
command -v abidiff >/dev/null || { echo 'no abidiff: the baseline was not looked at'; exit 0; }
abidiff --headers-dir2 "$source" --drop-private-types --no-show-locs --no-added-syms "$baseline" "$library" ||
    { echo 'The released ABI has changed. Add beside what is there.'; exit 1; }
