# postgres.sh -- a private Postgres 15 cluster in $home/postgres: socket and loopback only, passwords only.

postgres_bin=${POSTGRES_BIN:-/usr/lib/postgresql/15/bin}

# Sets socket: the folder of the Unix socket. A socket's path must not exceed 107 bytes; a longer one goes to /tmp.
choose_socket() {
    local path
    socket=$run
    path=$socket/.s.PGSQL.$POSTGRES_PORT
    if [ "$(printf %s "$path" | wc -c)" -gt 107 ]; then
        socket=/tmp/penstock-$(printf %s "$run" | sha256sum | cut -c1-12)
        [ -d "$socket" ] || { mkdir -m 700 "$socket" && own "$socket"; } || fail "cannot make $socket"
        if [ -L "$socket" ] || [ "$(stat -c %U "$socket")" != "$(stat -c %U "$run")" ]; then
            fail "$socket is not a folder of ours"
        fi
    fi
}

postgres_admin_url() {
    printf 'postgresql://postgres:%s@/postgres?host=%s&port=%s' \
        "$(cat "$(secret postgres)")" "$(percent_encode "$socket")" "$POSTGRES_PORT"
}

initialise_postgres() {
    local data=$home/postgres password
    password=$(secret postgres)
    rm -rf "$data.new"
    private_folder "$data.new"
    (cd / && "${run_as[@]}" "$postgres_bin/initdb" --pgdata="$data.new" --username=postgres --pwfile="$password" \
        --auth="${postgres_auth:-scram-sha-256}" --encoding=UTF8 --locale=C.UTF-8 --no-instructions) || return 1
    mv "$data.new" "$data"
}

# Settings are on the command line, so that a changed port or checkout needs no edited file.
start_postgres() {
    [ -f "$home/postgres/PG_VERSION" ] || step 'initialising Postgres' "$log/postgres.log" initialise_postgres
    start_process postgres INT "$postgres_bin/postgres" -D "$home/postgres" -p "$POSTGRES_PORT" -k "$socket" \
        -c listen_addresses=127.0.0.1 -c unix_socket_permissions=0700 -c password_encryption=scram-sha-256 \
        -c wal_level=logical -c fsync="${POSTGRES_FSYNC:-on}" -c max_connections=200 -c max_wal_senders=20 \
        -c max_replication_slots=20 -c shared_buffers=256MB -c max_wal_size=2GB -c checkpoint_timeout=15min \
        -c log_line_prefix='%m [%p] %q%u@%d ' -c cluster_name=penstock
}

postgres_is_up() {
    "$postgres_bin/pg_isready" --quiet --host="$socket" --port="$POSTGRES_PORT" --dbname=postgres --username=postgres
}

# Nobody but its own roles may look into a database, and that holds for those that initdb makes.
close_postgres() {
    PGPASSWORD=$(cat "$(secret postgres)") psql --no-psqlrc --quiet --host="$socket" --port="$POSTGRES_PORT" --username=postgres \
        --dbname=postgres --command='REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC'
}
