# run.sh -- part of bench/run: the engine as a process, on a Kafka of its own. Needs `build`.
# shellcheck shell=bash disable=SC2154  # variables of bench/run
takeovers() { # prints a JSON array
    local line list='[]'
    while read -r line; do
        list=$(jq -c --arg line "$line" '. + [$line | capture("owner (?<end>[a-z]+): .* after (?<first_ms>[0-9]+) ms, all answered after (?<all_ms>[0-9]+) ms")]' <<<"$list")
    done < <("$root/tests/with-servers" "$here/process/takeover")
    printf '%s' "$list"
}

bench_engine-process() {
    local line folder
    export PENSTOCK_BUILD
    record machine "$(machine)"
    say 'a log of a million commands, drained topic to topic'
    line=$("$root/tests/with-servers" "$here/process/measure") || die 'process/measure failed'
    record drained "$line"
    say 'the same after a million resting orders, with snapshots'
    line=$(BENCH_RESTING=1000000 BENCH_LIMIT=0 MATCHING_ENGINE_SNAPSHOT_EVERY=150000 "$root/tests/with-servers" "$here/process/measure") ||
        die 'process/measure failed'
    record resting "$line"
    say 'snapshots of a million orders without Kafka'
    folder=$(mktemp -d "${TMPDIR:-/tmp}/engine-snapshots.XXXXXX") || die 'no temporary folder'
    line=$(TMPDIR=$folder "$PENSTOCK_BUILD/bench/penstock-engine-snapshot" 1000000 5) || die 'penstock-engine-snapshot failed'
    rm -rf "$folder"
    record snapshots "$line"
    say 'recovery of a million resting orders and a million commands'
    line=$("$root/tests/with-servers" "$here/process/recovery") || die 'process/recovery failed'
    record recovery "$line"
    say 'takeovers'
    record takeovers "$(takeovers)"
}
