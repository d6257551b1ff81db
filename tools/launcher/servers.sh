# servers.sh -- Postgres and Kafka together, those that are ours.

# Starts both side by side and waits. Needs the ports set.
start_servers() {
    choose_socket
    start_postgres
    start_kafka
    wait_for postgres 60 postgres_is_up
    close_postgres || fail "cannot log in to Postgres; its log is $log/postgres.log"
    wait_for kafka 90 kafka_is_up
}

stop_servers() {
    stop_processes kafka postgres
}
