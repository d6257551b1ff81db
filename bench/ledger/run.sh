# shellcheck shell=bash
# bench/ledger/run.sh -- the durable path alone, sourced by bench/run: HTTP straight at trade-ledger, with the relay stopped and Kafka
# idle; pgbench's TPC-B and the batched limit on the same server, in the same run.
# shellcheck disable=SC2154  # what is not set here is bench/run's
ledger_connections=${BENCH_LEDGER_CONNECTIONS:-1 8 64 512}
ledger_users=${BENCH_LEDGER_USERS:-1000}
ledger_entries=${BENCH_LEDGER_ENTRIES:-10000000} # 0: not measured on a ledger that has been used
ledger_accounts=10000
ledger_operators=8

stop_process() { # PROCESS: with its supervisor, which would start it again
    local supervisor
    supervisor=$(sed -n 's/^supervisor=//p' "$PENSTOCK_HOME/run/$1.state")
    kill -TERM "$supervisor"
    while kill -0 "$supervisor" 2>/dev/null; do sleep 0.1; done
}

ledger_load() { # CONNECTIONS OPTION…: through the gateway, unless --direct is among the options
    local number=$1
    shift
    timeout --foreground $((${seconds%.*} + 300)) "$PENSTOCK_BUILD/bench/penstock-load" --port "$GATEWAY_PORT" --users-in "$PENSTOCK_HOME/users" \
        --json --connections "$number" --users $((number < ledger_users ? number : ledger_users)) --seconds "$seconds" --drain 120 \
        --place-only "$@" || die "penstock-load, $number connections, $*, failed"
}

# measure_orders NAME CONNECTIONS OPTION…
measure_orders() {
    local name=$1 number=$2 line
    shift 2
    say "$name, $number connections"
    line=$(ledger_load "$number" "$@") || exit 1
    append orders "$(jq -c --arg name "$name" --argjson n "$number" '.name = $name | .connections = $n' <<<"$line")"
}

# fill_ledger ENTRIES AMOUNT: prints the first of the accounts
fill_ledger() {
    PGPASSWORD=$(cat "$PENSTOCK_HOME/secrets/postgres") psql --no-psqlrc --quiet --tuples-only --no-align -v entries="$1" -v owners="$ledger_accounts" \
        -v amount="$2" -f "$here/ledger/entries.sql" "host=$PENSTOCK_HOME/run port=$POSTGRES_PORT user=postgres dbname=penstock_trade_ledger" ||
        die 'the ledger could not be filled'
}

# Users who may move money between all accounts. A user's requests go by one lane: several, as users would be.
make_operators() {
    local i body way=http://127.0.0.1:$GATEWAY_PORT/auth
    for ((i = 0; i < ledger_operators; i++)); do
        body='{"email":"operator-'$i'@bench.invalid","password":"a load test'"'"'s password"}'
        curl -fsS -o /dev/null "$way/signup" -H 'content-type: application/json' -d "$body" || die 'no operator'
        penstock admin grant "operator-$i@bench.invalid" operator >/dev/null || die 'no operator'
        curl -fsS "$way/login" -H 'content-type: application/json' -d "$body" | jq -r '"\(.user_id) \(.access_token)"'
    done >"$PENSTOCK_HOME/operators"
}

# measure_transfers NAME CONNECTIONS ACCOUNTS OPTION…
measure_transfers() {
    local name=$1 number=$2 accounts=$3 line
    shift 3
    say "$name between $accounts accounts, $number connections"
    line=$(timeout --foreground $((${seconds%.*} + 300)) "$PENSTOCK_BUILD/bench/penstock-load" --port "$GATEWAY_PORT" \
        --users-in "$PENSTOCK_HOME/operators" --users "$ledger_operators" --json --connections "$number" --seconds "$seconds" --drain 120 \
        --accounts "$accounts" --first-account "$first_account" "$@") || die "transfers failed: $name"
    append transfers "$(jq -c --arg name "$name" --argjson n "$number" --argjson a "$accounts" \
        '.name = $name | .connections = $n | .accounts = $a' <<<"$line")"
}

# The same again on a ledger that has been used.
measure_full() {
    local line
    say "the same with $ledger_entries entries"
    fill_ledger "$ledger_entries" 10000000000 >/dev/null
    measure_orders "POST /orders, $ledger_entries entries before" 512 "${direct[@]}"
    measure_transfers "POST /transfers, $ledger_entries entries before" 64 "$ledger_accounts" "${direct[@]}"
}

measure_tpcb() {
    local host="host=$PENSTOCK_HOME/run port=$POSTGRES_PORT user=postgres" database=bench_tpcb number tps PGPASSWORD
    PGPASSWORD=$(cat "$PENSTOCK_HOME/secrets/postgres")
    export PGPASSWORD
    say "pgbench's TPC-B, scale 50"
    psql --no-psqlrc --quiet "$host dbname=postgres" -c "CREATE DATABASE $database" || die 'no database for pgbench'
    pgbench --quiet --initialize --scale 50 "$host dbname=$database" >/dev/null 2>&1 || die 'pgbench --initialize failed'
    for number in 8 64; do
        tps=$(pgbench --no-vacuum --client "$number" --jobs 2 --protocol prepared --time "${seconds%.*}" "$host dbname=$database" 2>/dev/null |
            awk '/^tps/ { print $3 }') || die 'pgbench failed'
        append tpcb "$(jq -n --argjson n "$number" --argjson tps "$tps" '{clients: $n, tps: $tps}')"
    done
    psql --no-psqlrc --quiet "$host dbname=postgres" -c "DROP DATABASE $database" || die 'the database of pgbench could not be dropped'
}

bench_ledger() {
    local number accounts line best rate direct first_account limit_users=$ledger_users
    begin
    direct=(--direct "$TRADE_LEDGER_PORT")
    stop_process outbox-relay
    make_operators
    first_account=$(fill_ledger $((2 * ledger_accounts)) 10000000000000) || exit 1
    measure_limit transfers
    for number in $ledger_connections; do
        measure_orders 'POST /orders' "$number" "${direct[@]}"
    done
    best=$(jq -c '.orders | max_by(.orders_per_second)' <<<"$result")
    rate=$(half_of "$best") number=64
    say "at half of the best rate: $rate orders/s on $number connections"
    line=$(ledger_load "$number" "${direct[@]}" --rate "$rate") || exit 1
    record orders_half "$(jq -c --argjson rate "$rate" --argjson n "$number" '.rate = $rate | .connections = $n' <<<"$line")"
    measure_orders 'POST /orders/batch of 100' 1 "${direct[@]}" --batch 100
    measure_orders 'POST /orders/batch of 100' 8 "${direct[@]}" --batch 100
    measure_orders 'POST /api/orders, by the gateway' 64
    measure_orders 'POST /api/orders, by the gateway' 512
    measure_orders 'POST /api/orders/batch of 100, by the gateway' 8 --batch 100
    for accounts in "$ledger_accounts" 2; do
        for number in 8 64 512; do
            measure_transfers 'POST /transfers' "$number" "$accounts" "${direct[@]}"
        done
        measure_transfers 'POST /transfers/batch of 100' 8 "$accounts" "${direct[@]}" --batch 100
        measure_transfers 'POST /transfers/batch of 1000' 4 "$accounts" "${direct[@]}" --batch 1000
    done
    [ "$ledger_entries" -eq 0 ] || measure_full
    record processes "$(penstock status --json)"
    measure_tpcb
    measure_limit ""
}
