# build.sh -- meson and ninja, for what `up` needs; and where the programs are.

build=${PENSTOCK_BUILD:-$root/build}

# The path of a program in the build tree.
built() {
    case $1 in
    outbox-relay) printf %s "$build/outbox-relay/outbox-relay" ;;
    penstock-cli) printf %s "$build/tools/cli/penstock-cli" ;;
    penstock-topics) printf %s "$build/tools/penstock-topics" ;;
    *) printf %s "$build/services/$1/penstock-$1" ;;
    esac
}

programs() {
    printf '%s\n' "${services[@]}" penstock-topics penstock-cli
}

configure() {
    [ -f "$build/build.ninja" ] || meson setup "$build" "$root"
}

compile() {
    local targets=() name path
    for name in $(programs); do
        path=$(built "$name")
        targets+=("${path#"$build"/}")
    done
    ninja -C "$build" "${targets[@]}"
}

build_all() {
    if [ -w "$root" ] || [ -w "$build" ]; then
        [ -f "$build/build.ninja" ] || step 'configuring the build' "$log/build.log" configure
        step 'building' "$log/build.log" compile
    elif [ ! -x "$(built gateway)" ]; then
        fail "nothing is built, and $root cannot be written: build it as its owner"
    fi
}

# Where the unprivileged user runs a program from: the build tree, or a copy where it can reach it.
program() {
    if [ -n "$copies" ]; then
        printf %s "$copies/$(basename "$(built "$1")")"
    else
        built "$1"
    fi
}

# A copy replaces the old one as a whole: a running program keeps its file.
place_programs() {
    local name from
    supervise=$root/tools/launcher/supervise
    [ -n "$copies" ] || return 0
    mkdir -p "$copies"
    for name in "${services[@]}" penstock-cli supervise; do
        from=$supervise
        [ "$name" = supervise ] || from=$(built "$name")
        cmp -s "$from" "$copies/$(basename "$from")" && continue
        { cp "$from" "$copies/.new" && chmod 755 "$copies/.new" && mv -f "$copies/.new" "$copies/$(basename "$from")"; } ||
            fail "cannot copy $from to $copies"
    done
    supervise=$copies/supervise
}
