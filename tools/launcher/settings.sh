# settings.sh -- ports and servers: from the environment, else as the running system was started with, else the default.

setting_defaults=(
    GATEWAY_PORT=8080 QUOTES_PORT=8081 TRADE_LEDGER_PORT=8082 IDENTITY_PORT=8083 MATCHING_ENGINE_PORT=8084 OUTBOX_RELAY_PORT=8085
    POSTGRES_PORT=15432 KAFKA_PORT=9092 KAFKA_CONTROLLER_PORT=9093
    KAFKA_BROKERS= POSTGRES_URL= TOPIC_PREFIX= DATABASE_PREFIX=penstock_
)

# read_settings [even-stopped] -- exports all of the above; those of the last run also when it has been stopped. A running system cannot be told other settings: that is said and ends the command.
read_settings() {
    local entry name recorded='' value
    if [ -r "$run/settings" ] && { [ "${1:-}" = even-stopped ] || anything_runs; }; then
        recorded=$(cat "$run/settings")
    fi
    for entry in "${setting_defaults[@]}"; do
        name=${entry%%=*}
        value=$(sed -n "s/^$name=//p" <<<"$recorded")
        if [ -z "${!name+set}" ]; then
            [ -n "$recorded" ] || value=${entry#*=}
            printf -v "$name" %s "$value"
        elif [ -n "$recorded" ] && [ "$value" != "${!name}" ]; then
            fail "it runs with ${name}=${value/:*@/:…@}; to change that: ./penstock down, then up"
        fi
        export "${name?}"
    done
    own_kafka=1 own_postgres=1
    [ -z "$KAFKA_BROKERS" ] || own_kafka=''
    [ -z "$POSTGRES_URL" ] || own_postgres=''
    choose_socket
    check_numbers
}

check_numbers() {
    local entry name
    for entry in "${setting_defaults[@]}"; do
        name=${entry%%=*}
        [[ $name == *_PORT ]] || continue
        if ! [[ ${!name} =~ ^[1-9][0-9]{0,4}$ ]] || [ "${!name}" -gt 65535 ]; then
            fail "$name: ${!name} is not a port"
        fi
    done
}

record_settings() {
    local entry name
    (umask 077 && for entry in "${setting_defaults[@]}"; do
        name=${entry%%=*}
        printf '%s=%s\n' "$name" "${!name}"
    done >"$run/settings") || fail "cannot write $run/settings"
}

# Where the servers are, once those of our own have their ports.
locate_servers() {
    kafka_brokers=$KAFKA_BROKERS admin_url=$POSTGRES_URL
    [ -z "$own_kafka" ] || kafka_brokers=127.0.0.1:$KAFKA_PORT
    [ -z "$own_postgres" ] || admin_url=$(postgres_admin_url)
}

# owner_url DATABASE -- admin_url for another database, with the same role: the one that made it.
owner_url() {
    if [[ $admin_url =~ ^(postgres(ql)?://[^/?]*)(/[^?]*)?(\?.*)?$ ]]; then
        printf '%s/%s%s' "${BASH_REMATCH[1]}" "$1" "${BASH_REMATCH[4]}"
    else
        printf "%s dbname='%s'" "$admin_url" "$1"
    fi
}

# derive_url DATABASE ROLE PASSWORD -- admin_url for another database and role.
derive_url() {
    if [[ $admin_url =~ ^(postgres(ql)?://)([^/?@]*@)?([^/?]*)(/[^?]*)?(\?.*)?$ ]]; then
        printf '%s%s:%s@%s/%s%s' "${BASH_REMATCH[1]}" "$2" "$3" "${BASH_REMATCH[4]}" "$1" "${BASH_REMATCH[6]}"
    else
        printf "%s dbname='%s' user='%s' password='%s'" "$admin_url" "$1" "$2" "$3"
    fi
}
