# services.sh -- which services there are, what each is told, and whether it is well.

# In the order of the flow; stopped in the reverse one.
services=(outbox-relay identity trade-ledger matching-engine gateway)

# "trade-ledger" -> "TRADE_LEDGER"
capitals() {
    local name=${1//-/_}
    printf %s "${name^^}"
}

port_of() {
    local setting
    setting=$(capitals "$1")_PORT
    printf %s "${!setting:-}"
}

# database_of SERVICE
database_of() {
    printf %s "$DATABASE_PREFIX${1//-/_}"
}

# What every process is told. Passwords travel in files.
export_addresses() {
    export KAFKA_BROKERS=$kafka_brokers
    export IDENTITY_URL=http://127.0.0.1:$IDENTITY_PORT
    export TRADE_LEDGER_URL=http://127.0.0.1:$TRADE_LEDGER_PORT
    export MATCHING_ENGINE_URL=http://127.0.0.1:$MATCHING_ENGINE_PORT
    export GATEWAY_URL=http://127.0.0.1:$GATEWAY_PORT
    export OUTBOX_RELAY_URL=http://127.0.0.1:$OUTBOX_RELAY_PORT
    unset POSTGRES_URL
}

write_database_urls() {
    local service role
    for service in identity trade-ledger; do
        role=$(database_of "$service")
        write_secret "$service.url" "$(derive_url "$role" "$role" "$(cat "$(secret "$service")")")" >/dev/null
        write_secret "relay-$service.url" \
            "$(derive_url "$role" "${DATABASE_PREFIX}relay" "$(cat "$(secret relay)")")" >/dev/null
    done
    # For `penstock market` alone: it stays whoever's runs this, where the services run as another user.
    (umask 077 && rm -f "$secrets/owner-trade-ledger.url" &&
        owner_url "$(database_of trade-ledger)" >"$secrets/owner-trade-ledger.url") || fail "cannot write $secrets/owner-trade-ledger.url"
}

# service_environment SERVICE -- fills `environment` with NAME=value words of its own.
service_environment() {
    case $1 in
    identity)
        environment=(IDENTITY_POSTGRES_URL_FILE="$secrets/identity.url" IDENTITY_SIGNING_KEY_PATH="$secrets/identity-key.pem") ;;
    trade-ledger) environment=(TRADE_LEDGER_POSTGRES_URL_FILE="$secrets/trade-ledger.url" "FUNDING_MODE=${FUNDING_MODE:-sandbox}") ;;
    outbox-relay)
        environment=("OUTBOX_RELAY_SOURCES=identity,trade-ledger" RELAY_IDENTITY_POSTGRES_URL_FILE="$secrets/relay-identity.url"
            RELAY_TRADE_LEDGER_POSTGRES_URL_FILE="$secrets/relay-trade-ledger.url") ;;
    matching-engine)
        environment=(MATCHING_ENGINE_DATA_DIR="$home/engine"
            MATCHING_ENGINE_SESSION_TIMEOUT_MS="${MATCHING_ENGINE_SESSION_TIMEOUT_MS:-2000}") ;; # a killed engine is back soon
    *) environment=() ;;
    esac
}

# Each reads its settings and says what is wrong with them, before anything is started.
check_services() {
    local name said environment
    for name in "${services[@]}"; do
        service_environment "$name"
        said=$(export_addresses; cd / && "${run_as[@]}" env "${environment[@]}" "$(program "$name")" --check 2>&1) ||
            fail "$name cannot be started so: $said"
    done
}

start_service() {
    local environment
    service_environment "$1"
    start_process "$1" TERM env "${environment[@]}" "$(program "$1")"
}

is_healthy() {
    case $1 in
    postgres) postgres_is_up ;;
    kafka) kafka_is_up ;;
    demo) is_running demo ;;
    *) curl --silent --fail --max-time 2 --output /dev/null "http://127.0.0.1:$(port_of "$1")/health" ;;
    esac
}

migrate_service() {
    SERVICE_PASSWORD_FILE=$(secret "$1") RELAY_PASSWORD_FILE=$(secret relay) POSTGRES_URL=$admin_url "$root/tools/migrate" "$1"
}

create_topics() {
    KAFKA_BROKERS=$kafka_brokers "$(built penstock-topics)" "$root/schemas/asyncapi.yaml"
}

# Databases and topics side by side.
prepare_servers() {
    local jobs=() job status=0
    secret relay >/dev/null # made once, not by two at a time
    create_topics >"$log/topics.log" 2>&1 &
    jobs+=($!)
    for service in identity trade-ledger; do
        migrate_service "$service" >"$log/migrate-$service.log" 2>&1 &
        jobs+=($!)
    done
    for job in "${jobs[@]}"; do
        wait "$job" || status=1
    done
    cat "$log/topics.log" "$log/migrate-identity.log" "$log/migrate-trade-ledger.log"
    return $status
}
