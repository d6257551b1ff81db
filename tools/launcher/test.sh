# test.sh -- ./penstock test and bench.
#
# Suites: lint; unit, model (the relay's protocol, by spin) and integration (the plain build); sanitized (unit and integration again, and
# journeys, bad input and crashes, under ASan and UBSan); system (tests/system/*.sh).
# Every test program's cases are counted; a program without countable cases counts as one.

all_suites=(lint unit model integration sanitized system)
plain=$root/build-test sanitizing=$root/build-sanitized

pass() {
    passed=$((passed + ${1:-1}))
}

# flunk TEXT [COUNT] -- TEXT is said again at the end, where it is looked for.
flunk() {
    failed=$((failed + ${2:-1}))
    failures+=("$1")
}

# configure_tests FOLDER OPTION… -- a build tree with the tests in it.
configure_tests() {
    local folder=$1
    shift
    meson setup "$folder" "$root" -Dbuildtype=debugoptimized "$@"
}

# build_tests FOLDER OPTION…
build_tests() {
    local folder=$1 log_file=$log/${1##*/}.log
    [ -f "$folder/build.ninja" ] || step "configuring ${folder##*/}" "$log_file" configure_tests "$@"
    step "building ${folder##*/}" "$log_file" ninja -C "$folder"
}

# show_leak LINE -- LeakSanitizer's report in a line of meson's testlog.json, which shows no output of a test that ended well.
show_leak() {
    awk '/LeakSanitizer: detected/ { on = 1 } on { print "  " $0 } /^SUMMARY/ { on = 0 }' <<<"${1//\\n/$'\n'}" >&2
}

# count FILE TITLE -- adds what meson's testlog.json tells: Criterion's own count where a program prints one.
count() {
    local line name result tested bad
    while IFS= read -r line; do
        name="$2: $(grep -o '^{"name": "[^"]*"' <<<"$line" | cut -d'"' -f4 | sed 's/.* \/ //')"
        result=$(grep -o '"result": "[A-Z]*"' <<<"$line" | cut -d'"' -f4)
        if [[ $line == *'the test leaks: see above'* ]]; then # said at its end by tests/support/leak_check.c, when Criterion counts no more
            flunk "$name leaks"
            show_leak "$line"
        fi
        tested=$(grep -o 'Tested: [0-9]* | Passing: [0-9]* | Failing: [0-9]* | Crashing: [0-9]*' <<<"$line" | tail -n 1)
        if [[ $tested =~ Passing:\ ([0-9]+)\ \|\ Failing:\ ([0-9]+)\ \|\ Crashing:\ ([0-9]+) ]]; then
            pass "${BASH_REMATCH[1]}"
            bad=$((BASH_REMATCH[2] + BASH_REMATCH[3]))
            [ "$bad" -eq 0 ] || flunk "$name" "$bad"
            [ "$result" = OK ] || [ "$bad" -gt 0 ] || flunk "$name ends badly after its cases"
        elif [ "$result" = OK ]; then
            pass
        else
            flunk "$name"
        fi
    done <"$1"
}

# run_meson TITLE FOLDER SUITE COMMAND… -- runs one suite of a build tree; COMMAND goes before meson.
run_meson() {
    local title=$1 folder=$2 suite=$3 base=${1// /-}
    shift 3
    say "== $title"
    rm -f "$folder/meson-logs/$base.json"
    "$@" meson test -C "$folder" --no-rebuild --suite "$suite" --logbase "$base" --print-errorlogs --timeout-multiplier 3 \
        --num-processes "${TEST_JOBS:-2}"
    if [ -s "$folder/meson-logs/$base.json" ]; then
        count "$folder/meson-logs/$base.json" "$title"
    else
        flunk "$title: no test was run"
    fi
}

# Each check is one test.
check() {
    local text=$1
    shift
    if "$@"; then
        pass
    else
        say "lint: $text: FAILED"
        flunk "lint: $text"
    fi
}

sources() {
    (cd "$root" && git -c safe.directory="$root" ls-files "$@")
}

check_format() {
    (cd "$root" && sources '*.c' '*.h' | xargs -r clang-format-14 --dry-run --Werror)
}

check_shell() {
    (cd "$root" && { sources '*.sh' tools/launcher/supervise tools/migrate tests/with-servers bench/run bench/engine/measure bench/process/measure bench/process/recovery bench/process/takeover tools/compile-with bench/relay-cleanup/growth bench/relay-cleanup/measure outbox-relay/packaging/make-deb .ci/run && echo penstock; } |
        xargs shellcheck --shell=bash --external-sources)
}

check_lengths() {
    local long
    long=$(cd "$root" && sources '*.c' '*.h' '*.sh' '*.py' | xargs wc -l | awk '$1 > 900 && $2 != "total"')
    [ -z "$long" ] || say "longer than 900 lines: $long"
    [ -z "$long" ]
}

# A function's body: from a line "{" to a line "}".
check_functions() {
    local long
    long=$(cd "$root" && sources '*.c' | xargs awk '
        FNR == 1 { begin = 0 } /^\{/ { begin = FNR } /^\}/ { if (begin && FNR - begin > 80) print FILENAME ":" begin; begin = 0 }')
    [ -z "$long" ] || say "functions longer than 80 lines: $long"
    [ -z "$long" ]
}

suite_lint() {
    say '== lint'
    check 'C is formatted by .clang-format' check_format
    check 'shell scripts pass shellcheck' check_shell
    check 'no file is longer than 900 lines' check_lengths
    check 'no function is longer than 80 lines' check_functions
}

suite_unit() {
    run_meson unit "$plain" unit
}

suite_model() {
    run_meson model "$plain" model
}

suite_integration() {
    run_meson integration "$plain" integration "$root/tests/with-servers"
}

suite_sanitized() {
    export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0} UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}
    run_meson 'unit sanitized' "$sanitizing" unit
    run_meson 'integration sanitized' "$sanitizing" integration "$root/tests/with-servers"
    say '== system sanitized'
    PENSTOCK_BUILD=$sanitizing run_system_tests bad_input crash crash_points journey_http journey_kafka
}

# A system test is a script that starts what it needs and prints "ok TEXT" or "not ok TEXT" for each claim.
# run_system_test NAME -- leaves its output in system-NAME.log and its status and seconds in system-NAME.end.
run_system_test() {
    local status=0 begin
    begin=$(now_ms)
    PENSTOCK_BUILD=${PENSTOCK_BUILD:-$plain} timeout --kill-after=30 "${SYSTEM_TEST_TIMEOUT_S:-600}" \
        "$root/tests/system/$1.sh" >"$log/system-$1.log" 2>&1 || status=$?
    echo "$status $(seconds_since "$begin")" >"$log/system-$1.end"
}

# judge_system_test NAME -- counts its claims.
judge_system_test() {
    local name=$1 log_file=$log/system-$1.log status seconds good bad
    read -r status seconds <"$log/system-$name.end"
    good=$(grep -c '^ok ' "$log_file") bad=$(grep -c '^not ok ' "$log_file")
    [ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
    [ "$status" -eq 0 ] && [ "$bad" -eq 0 ] && [ "$good" -eq 0 ] && good=1
    pass "$good"
    [ "$bad" -eq 0 ] || flunk "system test $name" "$bad"
    if [ "$bad" -gt 0 ]; then
        printf '  %-30s FAILED after %s\n' "$name" "$seconds" >&2
        awk '/^not ok /{ told = 10 } !/^ |^not ok /{ told = 0 } told-- > 0' "$log_file" | sed 's/^/  /' >&2
        show_end "$log_file"
    else
        printf '  %-30s %4s ok %12s\n' "$name" "$good" "$seconds" >&2
    fi
}

# They wait more than they compute, and each has servers and ports of its own: TEST_JOBS run side by side.
# run_system_tests NAME…
run_system_tests() {
    local name
    for name; do
        while [ "$(jobs -rp | wc -l)" -ge "${TEST_JOBS:-2}" ]; do
            wait -n
        done
        run_system_test "$name" &
    done
    wait
    for name; do
        judge_system_test "$name"
    done
}

suite_system() {
    local script names=()
    say '== system'
    for script in "$root"/tests/system/*.sh; do
        [ ! -x "$script" ] || names+=("$(basename "$script" .sh)")
    done
    run_system_tests "${names[@]}"
}

# Python's clients of Kafka and CloudEvents, for the tests that speak to us as a stranger would.
python_packages=(cloudevents==2.2.0 confluent-kafka==2.6.1 protobuf==4.21.12 deprecation==2.1.0 python-dateutil==2.9.0.post0)
make_python() {
    rm -rf "$cache/python"
    python3 -m venv "$cache/python" &&
        "$cache/python/bin/pip" install --quiet --disable-pip-version-check "${python_packages[@]}" &&
        "$cache/python/bin/python" -c 'import cloudevents, confluent_kafka, google.protobuf' &&
        echo "${python_packages[*]}" >"$cache/python/ready"
}
python_is_ready() { [ "$(cat "$cache/python/ready" 2>/dev/null)" = "${python_packages[*]}" ]; }

prepare_tests() {
    enter
    ensure_packages run
    ensure_packages test
    ensure_kafka
    [[ " $* " != *' system '* && " $* " != *' sanitized '* ]] || python_is_ready || step 'installing the Python client' "$log/python.log" make_python
    export PENSTOCK_PYTHON=$cache/python/bin/python PENSTOCK_CACHE=$cache
    [ "$*" = lint ] || build_tests "$plain"
    [[ " $* " != *' sanitized '* ]] || build_tests "$sanitizing" -Db_sanitize=address,undefined -Db_lundef=false
}

command_test() {
    local suite begin passed=0 failed=0 failures=()
    begin=$(now_ms)
    [ $# -gt 0 ] || set -- "${all_suites[@]}"
    for suite; do
        [[ " ${all_suites[*]} " == *" $suite "* ]] || fail "test: no suite $suite; there are: ${all_suites[*]}"
    done
    prepare_tests "$@"
    for suite; do
        "suite_$suite"
    done
    say "after $(seconds_since "$begin")"
    [ ${#failures[@]} -eq 0 ] || printf 'failed: %s\n' "${failures[@]}" >&2
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

command_bench() {
    enter
    ensure_packages run
    ensure_packages test
    ensure_kafka
    export PENSTOCK_CACHE=$cache
    exec "$root/bench/run" "$@"
}
