# servers.sh -- Postgres and Kafka, as far as they are ours (own_postgres, own_kafka).

await_servers() {
    if [ -n "$own_postgres" ]; then
        wait_for postgres 60 postgres_is_up
        close_postgres || fail "cannot log in to Postgres; its log is $log/postgres.log"
    fi
    if [ -n "$own_kafka" ]; then
        wait_for kafka 90 kafka_is_up
    fi
}

stop_servers() {
    stop_processes kafka postgres
}
