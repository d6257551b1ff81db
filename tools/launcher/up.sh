# up.sh -- up, down, reset.

# Who and where: the first lines of every command that looks at the system.
enter() {
    choose_user
    locate_home
    if [ -d "$run" ] && { [ ! -r "$run" ] || [ ! -w "$run" ]; }; then
        fail "the system in $home belongs to user $(stat -c %U "$run"): call ./penstock as that user, or as root"
    fi
    make_home
    supervise=$root/tools/launcher/supervise
    [ -z "$copies" ] || supervise=$copies/supervise
}

# One command at a time changes a system.
lock() {
    exec 9>"$run/lock"
    flock --nonblock 9 || fail 'another penstock command is at work on this system'
}

all_processes() {
    printf '%s\n' postgres kafka "${services[@]}" demo
}

anything_runs() {
    local name
    for name in $(all_processes); do
        ! is_running "$name" || return 0
    done
    return 1
}

# Ports that we are about to use must be free.
check_ports() {
    local name port
    for name in ${own_postgres:+postgres} ${own_kafka:+kafka} "${services[@]}"; do
        port=$(port_of "$name")
        is_running "$name" || ! port_is_open "$port" ||
            fail "port $port is taken by another program; $(capitals "$name")_PORT chooses another one for $name"
    done
}

# What is running is left alone: its program may be older than the one just built, which is said.
start_services() {
    local name
    for name in "${services[@]}"; do
        if is_running "$name" && [ "$(program "$name")" -nt "$run/$name.state" ]; then
            say "  $name was built anew: restarting it"
            stop_processes "$name"
        fi
        start_service "$name"
    done
}

# Asked twice: a service can fail on what only comes after its door is open.
await_services() {
    local name
    for name in "${services[@]}" "${services[@]}"; do
        wait_for "$name" 60 is_healthy "$name"
    done
}

start_demo() {
    start_process demo TERM "$(program penstock-cli)" demo
}

print_welcome() {
    local postgres='the one of POSTGRES_URL'
    [ -z "$own_postgres" ] || postgres=127.0.0.1:$POSTGRES_PORT
    cat <<-TEXT

	Penstock is up after $(seconds_since "$1").
	  HTTP API    http://127.0.0.1:$GATEWAY_PORT   (try: curl http://127.0.0.1:$GATEWAY_PORT/api/markets)
	  Kafka       $kafka_brokers
	  Postgres    $postgres, databases ${DATABASE_PREFIX}identity and ${DATABASE_PREFIX}trade_ledger
	  data, logs  $home

	Next:
	  ./penstock status                        every process, its memory and health
	  ./penstock book BTC-USD                  the market
	  ./penstock events tail trades.v1         trades as they happen
	  ./penstock help                          everything else
	  ./penstock down                          stop; state is kept
	TEXT
}

command_up() {
    local demo=1 begin
    for option; do
        case $option in
        --no-demo) demo='' ;;
        *) fail "up: unknown option $option; ./penstock help" ;;
        esac
    done
    begin=$(now_ms)
    enter
    lock
    read_settings
    [ -z "$unreached" ] || say "  user $penstock_user cannot reach $unreached: data and programs are in $home"
    ensure_packages run
    [ -z "$own_kafka" ] || ensure_kafka
    build_all
    place_programs
    check_ports
    locate_servers
    write_database_urls
    check_services
    record_settings
    [ -z "$own_postgres" ] || start_postgres
    [ -z "$own_kafka" ] || start_kafka
    await_servers
    step 'databases and topics' "$log/prepare.log" prepare_servers
    export_addresses
    start_services
    await_services
    [ -z "$demo" ] || start_demo
    print_welcome "$begin"
}

command_down() {
    [ $# -eq 0 ] || fail 'down takes no options'
    enter
    lock
    if ! anything_runs; then
        say 'Nothing is running.'
        return 0
    fi
    local begin
    begin=$(now_ms)
    stop_all
    say "Stopped after $(seconds_since "$begin"). State is kept in $home."
}

stop_all() {
    # From the door inwards: what has been accepted is carried through.
    stop_processes demo gateway
    stop_processes identity trade-ledger matching-engine
    stop_processes outbox-relay
    stop_servers
}

command_rotate_key() {
    local environment
    [ $# -eq 0 ] || fail 'rotate-key takes no options'
    enter
    read_settings
    service_environment identity
    cd / && exec "${run_as[@]}" env "${environment[@]}" "$(program identity)" rotate-key
}

# What is in servers that are not ours: databases, roles and topics of our names.
reset_foreign_servers() {
    local service name
    if [ -z "$own_kafka" ]; then
        KAFKA_BROKERS=$kafka_brokers "$(built penstock-topics)" --delete "$root/schemas/asyncapi.yaml" || return 1
    fi
    [ -z "$own_postgres" ] || return 0
    for service in identity trade-ledger; do
        name=$(database_of "$service")
        psql --no-psqlrc --quiet --dbname="$admin_url" --command="DROP DATABASE IF EXISTS \"$name\" WITH (FORCE)" \
            --command="DROP ROLE IF EXISTS \"$name\"" || return 1
    done
    psql --no-psqlrc --quiet --dbname="$admin_url" --command="DROP ROLE IF EXISTS \"${DATABASE_PREFIX}relay\""
}

command_reset() {
    local answer=''
    enter
    read_settings even-stopped
    locate_servers
    if [ "${1:-}" != --yes ]; then
        printf 'This stops the system and deletes its databases, topics, logs and passwords in %s. Type yes to go on: ' "$home" >&2
        read -r answer
        [ "$answer" = yes ] || fail 'nothing was deleted'
    fi
    lock
    stop_all
    reset_foreign_servers || fail 'the databases or topics could not be deleted'
    rm -rf "$home/postgres" "$home/kafka" "$home/log" "$home/secrets" "${home:?}/bin" "$home/engine" "$home/kafka.properties" \
        "$home/kafka-log4j2.properties" "$run"
    [ "$socket" = "$run" ] || rm -rf "$socket"
    say 'Deleted.'
}
