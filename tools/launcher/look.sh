# look.sh -- status, logs, help, and the way to the command-line client.

duration() {
    local s=$1
    if [ "$s" -ge 86400 ]; then
        printf '%dd%dh' $((s / 86400)) $((s % 86400 / 3600))
    elif [ "$s" -ge 3600 ]; then
        printf '%dh%dm' $((s / 3600)) $((s % 3600 / 60))
    elif [ "$s" -ge 60 ]; then
        printf '%dm%ds' $((s / 60)) $((s % 60))
    else
        printf '%ds' "$s"
    fi
}

# Sets state, pid, uptime_s, restarts, memory, port, health of one process.
look_at() {
    pid=$(state_of "$1" pid) restarts=$(state_of "$1" restarts) port=$(port_of "$1")
    state=stopped uptime_s=0 memory=0 health=-
    if is_running "$1"; then
        state=$(state_of "$1" state)
        uptime_s=$((EPOCHSECONDS - $(state_of "$1" since)))
        [ -z "$pid" ] || memory=$(memory_kb "$pid")
        health=bad
        ! is_healthy "$1" || health=good
    fi
    [ "$state" = running ] || pid=''
}

# Those that are expected here: not a server of someone else's, not a demo that was not started.
expected_processes() {
    local name
    for name in $(all_processes); do
        case $name in
        postgres) [ -n "$own_postgres" ] || continue ;;
        kafka) [ -n "$own_kafka" ] || continue ;;
        demo) [ -e "$run/demo.state" ] || continue ;;
        esac
        printf '%s\n' "$name"
    done
}

# Exit status: 0 all run and are healthy, 1 some do not, 3 nothing runs.
command_status() {
    local json='' name well=1 separator='' state pid uptime_s restarts memory port health
    case ${1:-} in
    --json) json=1 ;;
    '') ;;
    *) fail "status: unknown option $1" ;;
    esac
    enter
    read_settings
    if [ -n "$json" ]; then
        printf '['
    else
        printf '%-16s %-8s %7s %8s %8s %8s %6s %s\n' PROCESS STATE PID UPTIME RESTARTS 'MEMORY' PORT HEALTH
    fi
    for name in $(expected_processes); do
        look_at "$name"
        [ "$health" = good ] || well=''
        if [ -n "$json" ]; then
            printf '%s{"process":"%s","state":"%s","pid":%s,"uptime_s":%s,"restarts":%s,"memory_kb":%s,"port":%s,"healthy":%s}' \
                "$separator" "$name" "$state" "${pid:-null}" "$uptime_s" "${restarts:-0}" "$memory" "${port:-null}" \
                "$([ "$health" = good ] && echo true || echo false)"
            separator=,
        else
            printf '%-16s %-8s %7s %8s %8s %5d MB %6s %s\n' "$name" "$state" "${pid:--}" "$(duration "$uptime_s")" \
                "${restarts:-0}" $(((memory + 512) / 1024)) "${port:--}" "$health"
        fi
    done
    [ -z "$json" ] || printf ']\n'
    [ -z "$well" ] || return 0
    anything_runs || return 3
    return 1
}

command_logs() {
    local follow=() files=() name
    enter
    for name; do
        case $name in
        -f | --follow) follow=(--follow=name --retry) ;;
        -*) fail "logs: unknown option $name" ;;
        *)
            [ -f "$log/$name.log" ] || fail "no log of $name; there are: $(find "$log" -name '*.log' -printf '%f\n' | sed 's/\.log$//' | sort | xargs)"
            files+=("$log/$name.log")
            ;;
        esac
    done
    if [ ${#files[@]} -eq 0 ]; then
        for name in $(all_processes); do
            [ ! -f "$log/$name.log" ] || files+=("$log/$name.log")
        done
        [ ${#files[@]} -gt 0 ] || fail 'no logs yet'
        exec tail --lines=10 "${follow[@]}" "${files[@]}" 2>/dev/null
    fi
    exec tail --lines=200 "${follow[@]}" "${files[@]}"
}

# The client is told where the system is; it needs no right to look into its folders.
command_client() {
    local client
    client=$(built penstock-cli)
    [ -x "$client" ] || fail "$1: the command-line client is not built yet; run ./penstock up first"
    choose_user
    locate_home
    read_settings
    kafka_brokers=$KAFKA_BROKERS
    [ -z "$own_kafka" ] || kafka_brokers=127.0.0.1:$KAFKA_PORT
    export_addresses
    [ ! -r "$secrets/trade-ledger.url" ] || export TRADE_LEDGER_POSTGRES_URL_FILE=$secrets/trade-ledger.url
    [ ! -r "$secrets/owner-trade-ledger.url" ] || export TRADE_LEDGER_OWNER_POSTGRES_URL_FILE=$secrets/owner-trade-ledger.url
    [ ! -r "$secrets/identity.url" ] || export IDENTITY_POSTGRES_URL_FILE=$secrets/identity.url
    exec "$client" "$@"
}

command_help() {
    cat <<-TEXT
	Penstock: a trading platform on Kafka and Postgres.

	  ./penstock up [--no-demo]        install what is missing, build, start everything, open a demo market
	  ./penstock status [--json]       every process: state, memory, restarts, health
	  ./penstock logs [-f] [SERVICE…]  the last lines, or follow
	  ./penstock down                  stop; state is kept
	  ./penstock reset [--yes]         stop and delete all data; asks first
	  ./penstock rotate-key            access tokens are signed with a new key, ten minutes from now
	  ./penstock test [SUITE…]         all tests, or lint, unit, model, integration, sanitized, system
	  ./penstock bench                 measure this machine

	Settings are environment variables:
	  PENSTOCK_HOME   where data goes (default var/)
	  GATEWAY_PORT=8080 TRADE_LEDGER_PORT=8082 IDENTITY_PORT=8083 MATCHING_ENGINE_PORT=8084 OUTBOX_RELAY_PORT=8085
	  POSTGRES_PORT=15432 KAFKA_PORT=9092 KAFKA_CONTROLLER_PORT=9093
	  POSTGRES_URL, KAFKA_BROKERS      servers that exist already, instead of private ones
	  DATABASE_PREFIX=penstock_ TOPIC_PREFIX=   names in those servers
	TEXT
    [ ! -x "$(built penstock-cli)" ] || { echo && "$(built penstock-cli)" --help; }
}
