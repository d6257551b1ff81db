# process.sh -- supervised processes: start, look at, stop. See supervise for the state file.

# start_process NAME STOP_SIGNAL COMMAND… -- does nothing when it is running already. With `tied` set, it ends with this shell.
start_process() {
    local name=$1 signal=$2 tie=()
    shift 2
    ! is_running "$name" || return 0
    [ -z "${tied:-}" ] || tie=(setpriv --pdeathsig=TERM)
    rm -f "$run/$name.state"
    touch "$log/$name.log" && own "$log/$name.log"
    cd / || return 1 # the unprivileged user may not be able to stay here
    "${run_as[@]}" setsid "${tie[@]}" "$supervise" "$name" "$run" "$log/$name.log" "$signal" "$@" \
        </dev/null >/dev/null 2>>"$log/$name.log" 9>&- &
    supervisors+=($!)
    disown
    cd "$OLDPWD" || return 1
}

# state_of NAME KEY
state_of() {
    local line
    [ -r "$run/$1.state" ] || return 0
    while IFS= read -r line; do
        [ "${line%%=*}" != "$2" ] || printf %s "${line#*=}"
    done <"$run/$1.state"
}

# Is this pid the supervisor of NAME, and not a stranger who was given its number?
is_supervisor() {
    local words
    [ -n "$1" ] && [ -r "/proc/$1/cmdline" ] || return 1
    mapfile -d '' -t words <"/proc/$1/cmdline" 2>/dev/null || return 1
    [[ " ${words[*]} " == *"/supervise $2 $run "* ]]
}

is_running() {
    is_supervisor "$(state_of "$1" supervisor)" "$1"
}

# Asks it to stop, without waiting.
signal_process() {
    local supervisor
    supervisor=$(state_of "$1" supervisor)
    ! is_supervisor "$supervisor" "$1" || kill -TERM "$supervisor" 2>/dev/null || true
}

# stop_processes NAME… -- stops them side by side and waits.
stop_processes() {
    local name supervisor deadline=$((SECONDS + 30))
    for name; do
        signal_process "$name"
    done
    for name; do
        supervisor=$(state_of "$name" supervisor)
        while is_supervisor "$supervisor" "$name"; do
            if [ $SECONDS -gt $deadline ]; then
                say "  $name does not stop: killing it"
                kill -KILL -- "-$supervisor" 2>/dev/null
            fi
            sleep 0.05
        done
        rm -f "$run/$name.state"
    done
}

# wait_for NAME SECONDS CHECK… -- until CHECK succeeds. Stops the command when the process keeps ending or the time is over.
wait_for() {
    local name=$1 deadline=$((SECONDS + $2)) restarts
    shift 2
    until "$@"; do
        restarts=$(state_of "$name" restarts)
        if [ "${restarts:-0}" -ge 3 ]; then
            show_end "$log/$name.log"
            fail "$name does not stay up (exit status $(state_of "$name" last_exit)); its log is $log/$name.log"
        fi
        if [ $SECONDS -gt $deadline ]; then
            show_end "$log/$name.log"
            fail "$name was not healthy in time; its log is $log/$name.log"
        fi
        sleep 0.05
    done
}

# Memory of a process and its children in kB: their own and their share of what they have in common.
memory_kb() {
    local pid total=0 kb
    for pid in "$1" $(ps -o pid= --ppid "$1" 2>/dev/null); do
        kb=$(awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup" 2>/dev/null)
        [ -n "$kb" ] || kb=$(awk '/^VmRSS:/ { print $2 }' "/proc/$pid/status" 2>/dev/null)
        total=$((total + ${kb:-0}))
    done
    printf %s "$total"
}
